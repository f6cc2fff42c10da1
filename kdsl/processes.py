"""Worker processes that end with the work, however that ends."""

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from kdsl.errors import KdslError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")
_POLITE = 10
"""Niceness of a process that works beside people who wait for answers."""
_PIECE = 0.001
"""Seconds of work after which other threads are let in."""
_SHARE = 0.25
"""Part of the time that taking in an answer may have, while other threads want to work."""


class Stopped(Exception):
    """Nobody waits for the answer any more."""


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


def call_apart(stop: threading.Event, function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)` in a spawned process, out of the way of this one's other threads.

    The answer may be large: it is unpickled in pieces of about a millisecond, with rests in between. Function and
    arguments must be picklable. Raises the KdslError that the function raises, KdslError when the process ends without
    an answer, and `Stopped` soon after `stop` is set; the process is ended then.
    """
    from multiprocessing import get_context

    context = get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sending, function, arguments), daemon=True)
    with receiving:
        with sending:
            process.start()
        try:
            while not receiving.poll(0.1):
                if stop.is_set():
                    raise Stopped
            with open(receiving.fileno(), "rb", closefd=False) as file:
                answer, error = pickle.load(_Paced(file, stop))
        except (EOFError, pickle.UnpicklingError) as broken:
            process.join()
            raise KdslError(
                f"the process that works on it ended early ({_ending(process.exitcode)}); is there memory enough?"
            ) from broken
        finally:
            process.terminate()
            process.join()
    if error is not None:
        raise KdslError(error)
    return answer


def _answer(sending: "Connection", function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    ignore_interrupts()
    os.nice(_POLITE)
    try:
        answer = function(*arguments), None
    except KdslError as error:
        answer = None, str(error)
    try:
        with open(sending.fileno(), "wb", closefd=False) as file:
            pickle.dump(answer, file, protocol=5)
    except BrokenPipeError:
        pass  # nobody waits for it any more


class _Paced:
    """A file for an unpickler, which asks it for some 64 KB at a time: then other threads have their turn."""

    def __init__(self, file: BinaryIO, stop: threading.Event) -> None:
        self._file = file
        self._stop = stop
        self._rested = time.thread_time()

    def read(self, size: int) -> bytes:
        self._rest()
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        self._rest()
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def readline(self) -> bytes:
        return self._file.readline()

    def _rest(self) -> None:
        spent = time.thread_time() - self._rested
        if spent >= _PIECE:
            if self._stop.wait(spent * (1 / _SHARE - 1)):
                raise Stopped
            self._rested = time.thread_time()


def _ending(code: int | None) -> str:
    return f"by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
