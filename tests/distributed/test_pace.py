"""The time that is left, from the bytes that are done."""

import time

import pytest

from kdsl.distributed.pace import Pace, in_words


def test_what_is_left_takes_as_long_a_byte_as_what_is_done(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace({"a": 999, "b": 2999, "empty": 0, "c": 998})
    now[0] += 10
    assert pace.told("a") == "40 s left"
    now[0] += 30
    assert pace.told("b") == "10 s left"
    assert pace.told("b") == "10 s left"
    pace.told("empty")
    assert pace.told("c") == "0 s left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (59.1, "1 min"),
        (61, "2 min"),
        (3599, "60 min"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (89999, "1 d 1 h"),
    ],
)
def test_seconds_are_said_in_words(seconds, words):
    assert in_words(seconds) == words
