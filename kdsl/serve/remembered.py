"""The last decisions, so that feedback about them need not send the sample again."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.sample import Sample, SampleKey

MOST = 10_000
"""Decisions."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What feedback keeps of a decision."""

    sample: Sample
    label: str | tuple[str, ...] | None
    rules: tuple[str, ...]
    """Ids of those that held."""


class LastDecisions:
    """By task and id: of two samples with the same the later one. Safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[SampleKey, Remembered] = OrderedDict()
        self._mutex = threading.Lock()

    def add(self, decisions: Sequence[AnyDecision]) -> None:
        with self._mutex:
            for each in decisions:
                self._known.pop(each.sample.key, None)
                rules = tuple(hit.rule.id for hit in each.rules)
                self._known[each.sample.key] = Remembered(each.sample, each.label, rules)
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def of(self, key: SampleKey) -> Remembered | None:
        with self._mutex:
            return self._known.get(key)
