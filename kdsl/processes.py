"""Worker processes that end with the work, however that ends."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from kdsl.errors import KdslError

Item = TypeVar("Item")
Result = TypeVar("Result")

_starting = threading.Lock()


_OBJECTS = 100_000
"""That are made before the first of them are looked through."""


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Python looks for cycles of garbage less often meanwhile, and never among what is there already.

    For work that makes objects without end and lets go of them, none in cycles, beside a model that stays: the looking
    takes a third of its time. What a program has frozen already stays frozen.
    """
    before, frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    if not frozen:
        gc.freeze()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()


def require_workers(workers: object) -> None:
    """Raise KdslError for what is no number of processes; None is one a core."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise KdslError(f"workers is {workers!r:.80}; give a number of processes, at least 1, or None for one a core")


class WorkerProcess(SpawnProcess):
    """A spawned process that does not run the program's own script first.

    Python does that so that the process knows what the script defines; it would need KDSL's functions alone, and a
    script that mines without `if __name__ == "__main__":` would start itself again and again.
    """

    def start(self) -> None:
        with _starting:
            script = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = script


class WorkerContext(SpawnContext):
    """Starts `WorkerProcess`es. Forking would be no choice: a process that has threads may hang then."""

    Process = WorkerProcess


def ignore_interrupts() -> None:
    """For a worker process: Ctrl-C reaches the main process, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_with_parent() -> None:
    """For a worker process: when the main process is killed it ends too, instead of waiting for work for ever."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def temporary_until_end(prefix: str = "kdsl-") -> Path:
    """A folder that is there as long as this process, also where that is killed and could not remove it itself.

    A shell waits for the end and is nobody's child: Ray kills the children of what it kills.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    waiting = '(while kill -0 "$1"; do sleep 1; done; rm -rf "$2") >/dev/null 2>&1 &'
    subprocess.run(["sh", "-c", waiting, "sh", str(os.getpid()), folder], start_new_session=True, check=True)
    return folder


def _start(initializer: Callable[..., None], *arguments: Any) -> None:
    end_with_parent()
    initializer(*arguments)


@contextmanager
def worker_pool(
    workers: int, initializer: Callable[..., None] = ignore_interrupts, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes, see `WorkerContext`.

    When the work is interrupted or fails, nobody waits for what is running or queued: the processes are ended. When
    this process is killed they end by themselves.
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, WorkerContext(), initializer=_start, initargs=(initializer, *initargs))
    try:
        yield pool
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def mapped(do: Callable[[Item], Result], work: Sequence[Item], workers: int) -> Generator[Result, None, None]:
    """What `do`, a function of a module, makes of each piece of work, in order; in so many processes, or here for one.

    Closed before its end it ends the processes. Raises BrokenProcessPool where one dies.
    """
    if workers <= 1:
        yield from map(do, work)
        return
    with worker_pool(workers) as pool:
        yield from pool.map(do, work)
