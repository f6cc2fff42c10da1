"""One call by a process of its own, while this one goes on serving people."""

import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from kdsl.errors import KdslError
from kdsl.processes import WorkerContext, end_with_parent, ignore_interrupts

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")
_NICE = 10
"""Added to the niceness of a process that works while people wait for answers of this one."""
_PIECE = 0.001
"""Seconds of processor time for which an answer is taken in without a rest."""
_RESTS = 3
"""The rest is so many times as long."""


class Stopped(Exception):
    """Nobody waits for the answer any more."""


def call_in_subprocess(stop: threading.Event, function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)` by a spawned process, while other threads of this one go on.

    The answer may be large: it is unpickled in pieces of about a millisecond, with rests in between. Raises the
    function's KdslError, KdslError where the process cannot start or fails, and `Stopped` soon after `stop` is set;
    the process has ended then. Function, arguments and answer must be picklable.
    """
    context = WorkerContext()
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sending, _NICE, function, arguments), daemon=True)
    with receiving:
        try:
            with sending:
                process.start()
        except OSError as error:
            raise KdslError(f"no process can be started for it ({error.strerror}); is there memory enough?") from error
        try:
            while not receiving.poll(0.1):
                if stop.is_set():
                    raise Stopped
            with open(receiving.fileno(), "rb", closefd=False) as file:
                answer, refusal = pickle.load(_Paced(file, stop))
        except (EOFError, pickle.UnpicklingError) as broken:
            process.join()
            raise KdslError(f"the process that works on it {_end(process.exitcode)}") from broken
        finally:
            process.terminate()
            process.join()
    if refusal is not None:
        raise refusal
    return answer


def _answer(sending: "Connection", nice: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    ignore_interrupts()
    end_with_parent()
    os.nice(nice)
    answer: tuple[Any, KdslError | None]
    try:
        answer = function(*arguments), None
    except KdslError as error:
        answer = None, KdslError(error.sentence, error.hint)
    try:
        with open(sending.fileno(), "wb", closefd=False) as file:
            pickle.dump(answer, file, protocol=5)
    except BrokenPipeError:
        pass  # nobody waits for it any more


class _Paced:
    """A file for an unpickler, which asks it for some 64 KB at a time. Before it gets them, others have their turn.

    An unpickler keeps all other threads out while it works.
    """

    def __init__(self, file: BinaryIO, stop: threading.Event) -> None:
        self._file = file
        self._stop = stop
        self._rested = time.thread_time()

    def read(self, size: int) -> bytes:
        self._rest()
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        self._rest()
        return self._file.readinto(buffer)  # type: ignore[attr-defined]  # every binary file of `open` has it

    def readline(self) -> bytes:
        return self._file.readline()

    def _rest(self) -> None:
        spent = time.thread_time() - self._rested
        if spent >= _PIECE:
            if self._stop.wait(_RESTS * spent):
                raise Stopped
            self._rested = time.thread_time()


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {-code}; is there memory enough?"
    return "failed; what it printed on the terminal says why"
