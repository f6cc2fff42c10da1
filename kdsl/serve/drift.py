"""Whether a service decides for other labels, in other shares, than its training samples had."""

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping

WINDOW = 1000
"""Decisions that are looked at: the last ones of a task."""
_UNSEEN = 0.5
"""Samples that are added to every count, of decisions and of training alike (Jeffreys' prior), so that a label that
one of them does not have counts much, and not infinitely."""


class LabelDrift:
    """The labels of a task's last decisions beside those in training."""

    def __init__(self, trained: Mapping[str, float], several: bool) -> None:
        """`trained` holds the share of every label in training; with `several`, a sample may have several labels."""
        self._trained = trained
        self._several = several
        self._last: deque[tuple[str, ...]] = deque()
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many decisions are looked at: at most `WINDOW`."""
        return len(self._last)

    def add(self, labels: Iterable[str]) -> None:
        """A decision for these labels, which are of the task: one, or where samples may have several any number."""
        decided = tuple(labels)
        self._last.append(decided)
        self._counts.update(decided)
        if len(self._last) > WINDOW:
            self._counts.subtract(self._last.popleft())

    @property
    def index(self) -> float:
        """The population stability index of the decisions against training; 0 where the shares are the same.

        With p the share of a label in the decisions and q that in training, it is the sum of (p - q) · ln(p / q) over
        the labels: Siddiqi, Credit Risk Scorecards, 2006, who takes values under 0.1 for no change and those above
        0.25 for a large one. Before shares are taken, 0.5 is added to the counts of n decisions, and to those that n
        training samples would have. Where a sample may have several labels, each is a yes or no of its own, and
        (p - q) · (logit p - logit q) is summed. Of decisions like training with n of them and m training samples, it
        is about (labels - 1) · (1 / n + 1 / m): large while there are few.
        """
        n = len(self._last)
        outcomes = 2 if self._several else len(self._trained)
        total = 0.0
        for label, share in self._trained.items():
            p = (self._counts[label] + _UNSEEN) / (n + _UNSEEN * outcomes)
            q = (share * n + _UNSEEN) / (n + _UNSEEN * outcomes)
            ratio = math.log(p / q)
            if self._several:
                ratio -= math.log((1 - p) / (1 - q))
            total += (p - q) * ratio
        return total
