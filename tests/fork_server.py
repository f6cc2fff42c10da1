"""A script in a process of its own that starts at once: forked from one that has imported what takes long.

Tests of how a process starts run `python -m kdsl` instead.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryFile

KDSL = ("kdsl.cli", "kdsl.project.cross_validation", "kdsl.project.prediction", "kdsl.project.steps")
TORCH = ("scipy.sparse", "sklearn.linear_model", "torch", "transformers", "peft")
"""Nothing of KDSL, so that a script can change a part of it before others import that."""


class Forked:
    """A running script: what tests need of `subprocess.Popen`. Its stdin and stdout are pipes."""

    def __init__(self, script: Path, *arguments: object, imported: tuple[str, ...] = KDSL, **environment: str) -> None:
        reading, writing = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(reading[1], "wb"), os.fdopen(writing[0], "rb")
        self._errors = TemporaryFile()  # noqa: SIM115
        self._reports, server = socket.socketpair()
        socket.send_fds(_server(imported), [b"\n"], [reading[0], writing[1], self._errors.fileno(), server.fileno()])
        for own in (reading[0], writing[1]):
            os.close(own)
        server.close()
        task = {
            "argv": [str(script), *map(str, arguments)],
            "environment": os.environ | environment,
            "folder": os.getcwd(),
        }
        self._reports.sendall(json.dumps(task).encode() + b"\n")
        self._report = self._reports.makefile("r")
        self.pid = int(self._report.readline())
        self.returncode: int | None = None

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended
                os.kill(self.pid, number)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self._report.readline())
        return self.returncode

    def end(self) -> tuple[str, str]:
        """Close its stdin and wait; what it printed since and all that it told on stderr."""
        self.stdin.close()
        output = self.stdout.read().decode()
        self.wait()
        return output, self.errors()

    def errors(self) -> str:
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.send_signal(signal.SIGKILL)
        self.end()
        for each in (self.stdout, self._errors, self._report, self._reports):
            each.close()


_running: dict[tuple[str, ...], tuple[socket.socket, Popen[bytes]]] = {}


def _server(imported: tuple[str, ...]) -> socket.socket:
    """Where requests go; the server is started with the first and ends with this process."""
    if imported not in _running:
        own, other = socket.socketpair()
        command = [sys.executable, __file__, str(other.fileno()), *imported]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        _running[imported] = own, Popen(command, pass_fds=[other.fileno()], stdin=DEVNULL, env=environment)
        other.close()
    return _running[imported][0]


def main(requests: socket.socket, imported: list[str]) -> None:
    for name in imported:
        import_module(name)
    gc.freeze()  # shared with what is forked
    os.cpu_count = lambda: 1  # as in tests/conftest.py
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for the script is forked too, and waited for by nobody
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not message:
            return
        if os.fork() == 0:
            break
        for each in descriptors:
            os.close(each)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, reports = descriptors
    with socket.socket(fileno=reports) as connection:
        task = json.loads(connection.makefile().readline())
        if child := os.fork():
            for each in streams:
                os.close(each)
            connection.sendall(f"{child}\n".encode())
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            connection.sendall(f"{status}\n".encode())
            os._exit(0)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    # As Python opens them at its start: those of the server know other files.
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    sys.argv = task["argv"]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
