"""How long each answer may take, so that all of them are given before the time is over."""

import time
from collections.abc import Callable

_TAIL = 0.05
"""Where more is asked than was expected, what is left is shared as if so much of what was expected were to come: the
time is never used up by what comes next."""


class TimeBudget:
    """Shares the time that is left among the questions that are still to come."""

    def __init__(
        self, seconds: float, questions: int, longest: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """From now on `seconds` for about so many `questions`, and never more than `longest` seconds for one."""
        self._now = now
        self._end = now() + seconds
        self._questions = questions
        self._longest = longest
        self._asked = 0

    def next(self) -> float:
        """Seconds for the question that is asked now; 0 when the time is over."""
        to_come = max(self._questions - self._asked, _TAIL * self._questions, 1)
        self._asked += 1
        return min(self._longest, max(0.0, self._end - self._now()) / to_come)
