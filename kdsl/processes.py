"""Worker processes that end with the work, however that ends."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def ignore_interrupts() -> None:
    """For a worker process: Ctrl-C reaches the main process, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def worker_pool(
    workers: int, initializer: Callable[..., None] = ignore_interrupts, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes, as forking a process that has threads may hang.

    When the work is interrupted or fails, nobody waits for what is running or queued: the processes are ended.
    """
    from multiprocessing import active_children, get_context

    others = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=initializer, initargs=initargs)
    try:
        yield pool
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
