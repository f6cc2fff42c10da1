"""What another process works out while this one goes on: answers, errors, and an end at any time."""

import gc
import operator
import os
import signal
import threading
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.subprocess_call import Stopped, call_in_subprocess

TAKEN_IN: list[tuple[float, float]] = []


class Piece:
    """Notes when it is unpickled: seconds since some time, and seconds that this thread worked."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__dict__ = state
        TAKEN_IN.append((time.perf_counter(), time.thread_time()))


def pieces(count: int) -> list[Piece]:
    return [Piece(number) for number in range(count)]


def test_the_answer_comes_from_another_process_that_is_gone_afterwards():
    assert call_in_subprocess(threading.Event(), os.getpid) != os.getpid()
    assert call_in_subprocess(threading.Event(), operator.mul, ["亮度"], 200_000) == ["亮度"] * 200_000
    assert active_children() == []


def test_an_error_is_the_same_sentence():
    with pytest.raises(KdslError, match=r"^missing\.jsonl: no such file$"):
        call_in_subprocess(threading.Event(), read_samples, Path("missing.jsonl"), [])


def test_a_process_that_is_killed_is_told_by_its_signal():
    with pytest.raises(KdslError, match="was ended by signal 9; is there memory enough"):
        call_in_subprocess(threading.Event(), signal.raise_signal, signal.SIGKILL)


def test_a_process_that_fails_is_told_and_says_why_itself(capfd):
    with pytest.raises(KdslError, match="failed; what it printed on the terminal says why"):
        call_in_subprocess(threading.Event(), operator.truediv, 1, 0)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_nobody_waits_for_an_answer_once_it_is_stopped():
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        call_in_subprocess(stop, time.sleep, 600)
    assert active_children() == []


def test_taking_in_a_large_answer_leaves_most_of_the_time_to_other_threads():
    TAKEN_IN.clear()
    gc.freeze()  # as the page does: looking through what earlier tests left would count as work
    try:
        answer = call_in_subprocess(threading.Event(), pieces, 60_000)
    finally:
        gc.unfreeze()
    assert [piece.number for piece in answer] == list(range(60_000))
    passed, worked = (last - first for first, last in zip(TAKEN_IN[0], TAKEN_IN[-1], strict=True))
    assert worked < 0.4 * passed
