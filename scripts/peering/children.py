"""Commands whose output goes to a file, and servers: both end with this process."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_QUIET = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "VLLM_NO_USAGE_STATS": "1"}
_NEVER = ("PYTHONPATH", "VIRTUAL_ENV")
"""What of this process's environment a peer's Python must not see."""


class Failed(Exception):
    """A step that could not be done, in one sentence."""


def run_logged(
    command: Sequence[str], log: Path, folder: Path | None = None, more: Mapping[str, str] | None = None,
    own: bool = False,
) -> None:  # fmt: skip
    """Run the command to its end, its output at the end of `log`; with KDSL's PYTHONPATH where it is KDSL's `own`.

    Raises Failed with the last line of the output where it fails.
    """
    with _started(command, log, folder, more, own) as child:
        code = child.wait()
    if code != 0:
        raise Failed(f"{' '.join(map(_short, command[:3]))} … ended with {code}: {last_line(log)} ({log})")


@contextmanager
def served(command: Sequence[str], log: Path, port: int, more: Mapping[str, str], patience: float) -> Iterator[str]:
    """The address of a server that is started, answers at /v1/models within `patience` seconds, and is ended."""
    with _started(command, log, None, more, False) as child:
        address = f"http://127.0.0.1:{port}/v1"
        end = time.monotonic() + patience
        while not _answers(f"{address}/models"):
            if child.poll() is not None:
                raise Failed(f"the server ended with {child.returncode}: {last_line(log)} ({log})")
            if time.monotonic() > end:
                raise Failed(f"the server did not answer within {patience:.0f} seconds ({log})")
            time.sleep(1)
        yield address


@contextmanager
def _started(
    command: Sequence[str], log: Path, folder: Path | None, more: Mapping[str, str] | None, own: bool
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if own or name not in _NEVER}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"\n$ {' '.join(command)}\n".encode())
        file.flush()
        child = subprocess.Popen(
            command, cwd=folder, env={**environment, **_QUIET, **(more or {})}, stdin=subprocess.DEVNULL, stdout=file,
            stderr=file, start_new_session=True,
        )  # fmt: skip
        try:
            yield child
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """The child and what it started, gently first."""
    for kind, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            if kind is signal.SIGKILL:
                return


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_line(log: Path) -> str:
    """The last line of the output that says something, shortened."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    return next((line[:160] for line in reversed(lines) if line and line.strip("~^ ")), "no output")


def _short(word: str) -> str:
    return Path(word).name if word.startswith("/") else word
