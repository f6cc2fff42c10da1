"""Worker processes that end with the work, however that ends."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import Any


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


def _start(initializer: Callable[..., None], *arguments: Any) -> None:
    end_with_parent()
    initializer(*arguments)


@contextmanager
def worker_pool(
    workers: int, initializer: Callable[..., None] = ignore_interrupts, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes, as forking a process that has threads may hang.

    When the work is interrupted or fails, nobody waits for what is running or queued: the processes are ended. When
    this process is killed they end by themselves.
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(initializer, *initargs))
    try:
        yield pool
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
