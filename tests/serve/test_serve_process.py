"""`kdsl serve` as a process of its own: how it ends, and what goes on beside it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from model_server import RunningServer
from service_on_port import on_port
from service_shop import QUICK, opened
from waiting import GIVE_UP, until

ASKED = {"id": "a", "task": "returns", "text": "钱退了吗"}
BODY = json.dumps({"samples": [ASKED]}).encode()
TOKEN = "s3cret"
OPTIONS = [f"{key}={'null' if value is None else value}" for key, value in QUICK.items()]


def kdsl(command: str, shop: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kdsl", command, str(shop), *OPTIONS, *arguments],
        env={**os.environ, "KDSL_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, a shell has them ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


class Process:
    """A service in its process."""

    def __init__(self, shop: Path, *arguments: str) -> None:
        self.process = kdsl("serve", shop, "--port", "0", *arguments)
        assert self.process.stdout is not None
        address = self.process.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", address)
        assert found is not None, self.process.communicate()
        self.port = int(found[1])

    def asking(self) -> http.client.HTTPConnection:
        """A connection on which a prediction was asked for."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GIVE_UP)
        connection.request("POST", "/v1/predict", BODY, {"Authorization": f"Bearer {TOKEN}"})
        return connection

    def end(self, with_signal: signal.Signals) -> tuple[int, str]:
        """The exit code, and what it told on stderr."""
        self.process.send_signal(with_signal)
        _, told = self.process.communicate(timeout=GIVE_UP)
        return self.process.returncode, told


@pytest.fixture
def started() -> Iterator[Callable[..., Process]]:
    with ExitStack() as all_:

        def start(shop: Path, *arguments: str) -> Process:
            running = Process(shop, *arguments)
            all_.callback(running.process.communicate)
            all_.callback(running.process.kill)
            return running

        yield start


def asked_of(server: RunningServer) -> int:
    return sum(each["path"].endswith("/chat/completions") for each in server.requests())


def test_what_runs_is_answered_before_the_service_ends(shop, started, shared_server):
    """The model takes its time, in which the process is told to end."""
    replies = (("退", "退款"), ("小", "尺码"), ("", "退款"))
    shared_server.become(replies=replies)
    opened(shop, large=shared_server.url).train()
    service = started(shop, f"large={shared_server.url}")
    before = asked_of(shared_server)
    shared_server.become(replies=replies, delay=1.0)
    connection = service.asking()
    until(lambda: asked_of(shared_server) > before)
    service.process.send_signal(signal.SIGTERM)
    answer = connection.getresponse()
    [record] = json.loads(answer.read())["predictions"]
    assert (answer.status, record["label"]) == (200, "退款")
    _, told = service.process.communicate(timeout=GIVE_UP)
    assert service.process.returncode == 0
    assert "Traceback" not in told
    [line] = [line for file in (shop / "decisions").iterdir() for line in file.read_text("utf-8").splitlines()]
    assert json.loads(line)["label"] == "退款"


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it(shop, started, how, code):
    service = started(shop)
    connection = service.asking()
    assert connection.getresponse().status == 200
    ended, told = service.end(how)
    assert ended == code
    assert "Traceback" not in told
    assert "Ask with the token of KDSL_TOKEN." in told and TOKEN not in told


def test_two_services_answer_while_the_project_is_mined_and_trained(shop):
    """They log into one folder, and read what is new once it is there."""
    stop, failed = threading.Event(), []

    def ask(service: Any) -> None:
        while not stop.wait(0.02):
            answer = service.predict(ASKED)
            if answer.status != 200:
                failed.append(answer.body)

    with on_port(opened(shop)) as first, on_port(opened(shop)) as second:
        before = first.ask("GET", "/readyz").json["versions"]
        threads = [threading.Thread(target=ask, args=(service,)) for service in (first, second)]
        for thread in threads:
            thread.start()
        try:
            for command, *arguments in (("mine", "seed=1"), ("train", "seed=1")):
                process = kdsl(command, shop, *arguments)
                _, told = process.communicate(timeout=10 * GIVE_UP)
                assert process.returncode == 0, told
            until(lambda: first.ask("GET", "/readyz").json["versions"]["checkpoint"] != before["checkpoint"])
            until(lambda: second.ask("GET", "/readyz").json["versions"]["checkpoint"] != before["checkpoint"])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert failed == []
        assert first.problems == second.problems == []
        assert first.predict(ASKED).prediction == second.predict(ASKED).prediction
        assert all(line["id"] == "a" for line in first.logged)
