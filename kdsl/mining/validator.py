"""Validators say whether a rule makes sense for its label; the reliability learns how far that proves right."""

from collections.abc import Sequence
from typing import Protocol

from kdsl.rules.condition import Condition
from kdsl.sample import Task

Judged = tuple[int, tuple[Condition, ...]]
"""(label, conditions) of a rule to judge."""


class Validator(Protocol):
    """Judges rules by what they say, without a look at samples, so that no held-out sample can leak into it."""

    def judge(self, task: Task, rules: Sequence[Judged]) -> list[float | None]:
        """The probability that each rule makes sense, in the order of `rules`; None where it was not asked."""
        ...
