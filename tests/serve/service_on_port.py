"""A service on a free port of this computer, for clients of any manners. What waits here waits for events."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from waiting import GIVE_UP

from kdsl.project.project import Project
from kdsl.serve.app import create_app
from kdsl.serve.live import LiveProject
from kdsl.serve.media import MOST_BYTES, Uploads
from kdsl.serve.service import Service
from kdsl.web_server import web_server

PATIENCE = 3600.0
"""Seconds that the server waits for a client: longer than any test does."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sentence(self) -> str:
        """The one sentence of a refusal."""
        told = self.json
        assert list(told) == ["error"] and "\n" not in told["error"], told
        return str(told["error"])

    @property
    def prediction(self) -> dict[str, Any]:
        """The only one."""
        assert self.status == 200, self.body
        [record] = self.json["predictions"]
        return dict(record)


class ServiceOnPort:
    """A service in another thread; clients that are made here are closed with it."""

    def __init__(self, project: Project, token: str | None = None, most_bytes: int = MOST_BYTES) -> None:
        """`most_bytes` of pictures are kept, as `Uploads` has it."""
        self._stack = ExitStack()
        self.uploads = Path(self._stack.enter_context(TemporaryDirectory()))
        self.service = Service(LiveProject(project), Uploads(self.uploads, most_bytes))
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)  # who comes before the server runs waits
        self.port = listening.getsockname()[1]
        self._server = web_server(create_app(self.service, token), PATIENCE)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(GIVE_UP)
        assert not self._thread.is_alive()
        self._stack.close()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """As a library does that speaks HTTP."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GIVE_UP)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, value: Any, path: str = "/v1/predict", headers: Mapping[str, str] | None = None) -> Answer:
        """Ask with a JSON value."""
        return self.ask("POST", path, json.dumps(value).encode(), headers)

    def predict(self, *samples: Any) -> Answer:
        return self.post({"samples": list(samples)})

    def client(self, sent: bytes = b"") -> socket.socket:
        """A connection that has sent these bytes."""
        client = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=GIVE_UP))
        client.sendall(sent)
        return client

    def told(self, sent: bytes) -> Answer:
        """What a client is told that sends these bytes."""
        return heard(self.client(sent))

    def is_alive(self) -> bool:
        return bool(self.ask("GET", "/healthz").json == {"status": "alive"})

    @property
    def problems(self) -> list[str]:
        """What /readyz tells."""
        ready = self.ask("GET", "/readyz").json
        assert ready["status"] == ("degraded" if ready["problems"] else "ready")
        return list(ready["problems"])

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The decision log."""
        files = sorted(self.service.limits.log.glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    @contextmanager
    def held_up(self) -> "Iterator[HeldUp]":
        """Nothing is decided until the end, or until it is let."""
        batcher, decide, held = self.service.batcher, self.service.batcher.decide, HeldUp()

        def wait(asked: list[Any]) -> list[Any]:
            held.begun.set()
            assert held.let.wait(GIVE_UP)
            return decide(asked)

        batcher.decide = wait
        try:
            yield held
        finally:
            batcher.decide = decide
            held.let.set()


class HeldUp:
    def __init__(self) -> None:
        self.begun = threading.Event()
        """Something would be decided now."""
        self.let = threading.Event()


def request(path: str = "/v1/predict", body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    """The bytes of a request; it tells the length of the body unless `headers` tell one."""
    length = any(header.lower().startswith(("content-length:", "transfer-encoding:")) for header in headers)
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    lines += [] if length else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def heard(client: socket.socket, method: str = "POST") -> Answer:
    """The next answer on a connection."""
    answer = http.client.HTTPResponse(client, method=method)
    answer.begin()
    return _answer(answer)


def _answer(answer: http.client.HTTPResponse) -> Answer:
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@contextmanager
def on_port(project: Project, token: str | None = None, most_bytes: int = MOST_BYTES) -> Iterator[ServiceOnPort]:
    running = ServiceOnPort(project, token, most_bytes)
    try:
        yield running
    finally:
        running.stop()
