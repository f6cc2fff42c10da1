"""The last decisions, so that feedback about them need not send the sample again."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.sample import Sample, SampleKey

MOST = 10_000
"""Decisions."""
MOST_CHARACTERS = 1 << 26
"""Of their samples, all together: one may be as long as a request."""
_OF_TURN = 100
"""Characters that a turn takes besides its text, which may be empty."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What feedback keeps of a decision."""

    sample: Sample
    label: str | tuple[str, ...] | None
    rules: tuple[str, ...]
    """Ids of those that held."""

    @property
    def characters(self) -> int:
        """Of the sample."""
        sample = self.sample
        texts = [sample.id, *sample.images, *sample.audio, *(turn.text for turn in sample.turns)]
        return sum(map(len, texts)) + _OF_TURN * len(sample.turns)


class LastDecisions:
    """By task and id: of two samples with the same the later one. Safe for threads."""

    def __init__(self, most: int = MOST, most_characters: int = MOST_CHARACTERS) -> None:
        self._most = most
        self._most_characters = most_characters
        self._characters = 0
        self._known: OrderedDict[SampleKey, Remembered] = OrderedDict()
        self._mutex = threading.Lock()

    def add(self, decisions: Sequence[AnyDecision]) -> None:
        with self._mutex:
            for each in decisions:
                before = self._known.pop(each.sample.key, None)
                rules = tuple(hit.rule.id for hit in each.rules)
                now = self._known[each.sample.key] = Remembered(each.sample, each.label, rules)
                self._characters += now.characters - (0 if before is None else before.characters)
            while len(self._known) > self._most or self._characters > self._most_characters:
                _, oldest = self._known.popitem(last=False)
                self._characters -= oldest.characters

    def of(self, key: SampleKey) -> Remembered | None:
        with self._mutex:
            return self._known.get(key)
