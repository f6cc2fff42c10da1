"""Waiting for what nobody tells of."""

import threading
from collections.abc import Callable

GIVE_UP = 60
"""Seconds after which what should happen never does."""


def until(reached: Callable[[], bool]) -> None:
    """Looks again and again."""
    for _ in range(GIVE_UP * 100):
        if reached():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")
