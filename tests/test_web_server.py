"""Clients that hang, over real sockets: they are dropped, and everybody else is served. Waits for events only."""

import contextlib
import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from waiting import GIVE_UP, until

pytest.importorskip("uvicorn", reason="needs the extra review")

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from kdsl.web_server import web_server

LONG, SHORT = 3600.0, 0.2
LARGE = 50_000_000
"""Bytes: more than the system takes for a client that does not read."""

HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of what was sent, or with a large text."""
    if scope["type"] != "http":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    request = Request(scope, receive)
    try:
        answer: Response = PlainTextResponse(str(len(await request.body())))
    except ClientDisconnect:
        return
    if request.url.path == "/large":
        answer = PlainTextResponse("x" * LARGE)
    await answer(scope, receive, send)


class Served:
    """A server in another thread; clients that are made here are closed with it."""

    def __init__(self, patience: float, most_waiting: int) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        self.port = listening.getsockname()[1]
        self.server = web_server(app, patience, most_waiting)
        started = threading.Event()
        first = self.server.startup

        async def startup(sockets: list[socket.socket] | None = None) -> None:
            await first(sockets)
            started.set()

        self.server.startup = startup  # type: ignore[method-assign]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()
        assert started.wait(GIVE_UP)
        self._clients = contextlib.ExitStack()

    def client(self, sent: bytes) -> socket.socket:
        """A connection that has sent something."""
        client = self._clients.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=GIVE_UP))
        client.sendall(sent)
        return client

    def asked(self, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
        """What somebody gets who asks as a browser does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GIVE_UP)
        connection.request(method, "/", body)
        answer = connection.getresponse()
        result = answer.status, answer.read()
        connection.close()
        return result

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(GIVE_UP)
        assert not self.thread.is_alive()

    def stop(self) -> None:
        self.end()
        self._clients.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as all_:

        def serve(patience: float = LONG, most_waiting: int = 1000) -> Served:
            served = Served(patience, most_waiting)
            all_.callback(served.stop)
            return served

        yield serve


def dropped(client: socket.socket) -> bool:
    """Waits until the server ends the connection, however that looks from here; fails where it never does."""
    try:
        while client.recv(1 << 16):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    return True


def answer_to(client: socket.socket) -> bytes:
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.read()


@pytest.mark.parametrize(
    "sent", [b"", b"G", HALF_A_HEAD, HALF_A_BODY, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"]
)
def test_a_client_that_does_not_end_its_request_is_dropped(serve, caplog, sent):
    served = serve(SHORT)
    with caplog.at_level(logging.WARNING):
        assert dropped(served.client(sent))
    assert served.asked() == (200, b"0")
    assert "Traceback" not in caplog.text and "Exception" not in caplog.text


def test_bytes_that_drip_in_do_not_prolong_the_time(serve):
    served = serve(SHORT)
    client = served.client(HALF_A_HEAD)
    end = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not end.wait(SHORT / 10):
                client.sendall(b"a: b\r\n")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        assert dropped(client)
    finally:
        end.set()
        dripping.join()


def test_a_client_that_does_not_read_its_answer_is_dropped(serve):
    served = serve(SHORT)
    client = served.client(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    got = len(client.recv(1))  # the answer is on its way
    until(lambda: not served.server.server_state.connections)
    with contextlib.suppress(ConnectionResetError):
        while more := len(client.recv(1 << 16)):
            got += more
    assert got < LARGE


def test_three_hundred_that_hang_keep_nobody_out_and_are_not_all_kept(serve):
    served = serve(LONG, most_waiting=64)
    hanging = [served.client([b"", HALF_A_HEAD, HALF_A_BODY][number % 3]) for number in range(300)]
    assert served.asked() == (200, b"0")
    assert served.asked("POST", b"12345") == (200, b"5")
    for client in hanging[: 300 - 64]:
        assert dropped(client)
    assert len(served.server.server_state.connections) <= 64


def test_those_that_hang_are_gone_in_time_and_leave_nothing_behind(serve):
    served = serve(SHORT)
    for client in [served.client(HALF_A_HEAD) for _ in range(50)]:
        assert dropped(client)
    until(lambda: not served.server.server_state.connections and not served.server.server_state.tasks)


def test_a_client_that_takes_its_time_between_requests_is_served(serve):
    served = serve(LONG)
    client = served.client(HALF_A_BODY)
    client.sendall(b"67890")
    assert answer_to(client) == b"10"
    client.sendall(HALF_A_HEAD)
    client.sendall(b"\r\n")
    assert answer_to(client) == b"0"


def test_a_server_that_ends_does_not_wait_for_clients_that_hang(serve):
    served = serve(LONG)
    clients = [served.client(HALF_A_HEAD), served.client(HALF_A_BODY)]
    assert served.asked() == (200, b"0")
    served.end()
    assert all(map(dropped, clients))


def test_a_head_that_never_ends_is_not_kept_in_memory(serve):
    served = serve(LONG)
    client = served.client(HALF_A_HEAD)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for _ in range(200):
            client.sendall(b"a: " + b"b" * 1000 + b"\r\n")
    assert dropped(client)
    assert served.asked() == (200, b"0")


def test_a_long_body_is_no_long_head(serve):
    served = serve(LONG)
    assert served.asked("POST", b"5" * 200_000) == (200, b"200000")
