"""Servers that `scripts/bench serve` asks, each a process of its own, and what they cost."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.serving_client import Target
from kdsl.errors import KdslError

ROOT = Path(__file__).resolve().parents[2]
STARTS = 120.0
"""Seconds that a server may take until it answers."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Server:
    """A server that runs, with the processes it is made of."""

    name: str
    process: subprocess.Popen[bytes]
    target: Target
    said: Path
    """What it printed."""

    def processor_seconds(self) -> float:
        """Of all its processes so far, of the user and the system."""
        return sum(sum(map(int, fields[11:15])) for fields in self._processes().values()) / _TICKS

    def memory(self) -> int:
        """Bytes of memory that its processes take (resident)."""
        return sum(int(fields[21]) for fields in self._processes().values()) * _PAGE

    def kill(self) -> None:
        """With SIGKILL, all its processes."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def status(self, path: str) -> int:
        """Of the answer to GET; 0 where there is none."""
        return self.get(path)[0]

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer to GET, on a connection of its own; (0, b"") where there is none."""
        connection = HTTPConnection("127.0.0.1", self.target.port, timeout=5)
        try:
            connection.request("GET", path, headers=self.target.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            return 0, b""
        finally:
            connection.close()

    def _processes(self) -> dict[int, list[str]]:
        """Itself and all that it started, and what those started: number → fields of `_stat`."""
        running = {int(entry): fields for entry in os.listdir("/proc") if entry.isdigit() and (fields := _stat(entry))}
        found, new = dict[int, list[str]](), {self.process.pid}
        while new := {pid for pid in new if pid in running and pid not in found}:
            found |= {pid: running[pid] for pid in new}
            new = {pid for pid, fields in running.items() if int(fields[1]) in new}
        return found


def _stat(pid: str) -> list[str]:
    """The fields of /proc/PID/stat after the program's name: state, parent, group, ...; none where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextmanager
def kdsl_server(project: Path, overrides: Sequence[str] = ()) -> Iterator[Server]:
    token = secrets.token_urlsafe(24)
    port = free_port()
    command = [sys.executable, "-m", "kdsl", "serve", str(project), *overrides, "--port", str(port)]
    with _running(
        "kdsl serve", command, Target(port, "/v1/predict", token), "/readyz", {"KDSL_TOKEN": token}
    ) as server:
        yield server


@contextmanager
def litserve_server(python: Path, project: Path, batch: int, wait: float) -> Iterator[Server]:
    port = free_port()
    peer = Path(__file__).with_name("serving_litserve.py")
    command = [str(python), str(peer), str(project), str(port), str(batch), str(wait)]
    with _running("LitServe", command, Target(port, "/predict"), "/health") as server:
        yield server


@contextmanager
def bentoml_server(python: Path, project: Path, batch: int, wait: float) -> Iterator[Server]:
    port = free_port()
    command = [str(python), "-m", "bentoml", "serve", "serving_bentoml:Classifier"]
    command += ["--working-dir", str(Path(__file__).parent), "--host", "127.0.0.1", "--port", str(port)]
    told = {"BENCH_PROJECT": str(project), "BENCH_BATCH": str(batch), "BENCH_WAIT": str(wait)}
    with _running("BentoML", command, Target(port, "/predict"), "/readyz", told) as server:
        yield server


@contextmanager
def _running(
    name: str, command: list[str], target: Target, ready: str, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """The server from when it is ready; it is ended with SIGTERM, and killed where that takes too long."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        with said.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": paths, "BENTOML_DO_NOT_TRACK": "True"} | (environment or {}),
            )
        server = Server(name, process, target, said)
        try:
            _wait(server, ready)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    server.kill()


def _wait(server: Server, path: str) -> None:
    until = time.monotonic() + STARTS
    while time.monotonic() < until and server.process.poll() is None:
        if server.status(path) == 200:
            return
        time.sleep(0.1)
    said = server.said.read_text("utf-8", "replace").strip()
    raise KdslError(f"{server.name} does not answer; it said: {said[-2000:] or 'nothing'}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
