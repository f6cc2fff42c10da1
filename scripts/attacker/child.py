"""One command in a forked process, which starts with everything imported, and may be killed or lack rights."""

import ctypes
import os
import resource
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MEMORY = 9_000_000_000
"""Bytes of address space that a command may take: more is a fault, and must not harm the machine."""
PATIENCE = 120
"""Seconds until a command counts as hanging; far more than any takes, also on a busy machine."""


@dataclass(frozen=True)
class Outcome:
    """`code` is the exit code, negative for a signal; None where the command hung and was ended."""

    code: int | None
    out: str
    err: str


def run_command(
    arguments: list[str], folder: Path, rootless: bool = False, before: Callable[[], None] | None = None,
    kill_after: float | None = None,
) -> Outcome:  # fmt: skip
    """`kdsl ARGUMENTS` in `folder`, without root's right to read and write everything where it is `rootless`.

    `before` is called in the child first; after `kill_after` seconds it is killed.
    """

    def command() -> None:
        sys.argv = ["kdsl", *arguments]
        runpy.run_module("kdsl", run_name="__main__")

    return run_in_child(command, folder, rootless, before, kill_after)


def run_in_child(
    work: Callable[[], None], folder: Path, rootless: bool = False, before: Callable[[], None] | None = None,
    kill_after: float | None = None,
) -> Outcome:  # fmt: skip
    """`work()` in a process of its own; what `run_command` says."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _become(work, folder, rootless, before, out.fileno(), err.fileno())
        code = _wait(child, PATIENCE if kill_after is None else kill_after)
        # What the command started must not outlive it: the next one would meet it.
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    return Outcome(-signal.SIGKILL if code is None and kill_after is not None else code, *texts)


def _become(
    work: Callable[[], None], folder: Path, rootless: bool, before: Callable[[], None] | None, out: int, err: int
) -> None:
    """The rest of the child's life."""
    code = 70
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = str(folder.parent / "home")
        if rootless:
            _give_up_rights()
        if before is not None:
            before()
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _give_up_rights() -> None:
    """Give up all capabilities, so that root too is held to the modes of files (Linux: capset(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _wait(child: int, seconds: float) -> int | None:
    """The exit code; None where the process did not end by itself within `seconds`."""
    end = time.monotonic() + seconds
    pause = 0.001
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)
