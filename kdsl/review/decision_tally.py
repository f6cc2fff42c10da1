"""What a service decided about the samples of one task: counts, and the few decisions that are worth a look."""

import heapq
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kdsl.data.feedback import answer_words
from kdsl.project.decision_log import LoggedDecision
from kdsl.sample import NO_LABEL_HOLDS

BINS = 20
"""Of confidence, from 0 to 1."""
SHOWN = 20
"""Decisions in a list, at most."""
_LONGEST = 400
"""Characters of a text that are kept for a list."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A decision as a list shows it."""

    at: datetime
    id: str
    fingerprint: str
    label: str
    """Of several labels all that hold; empty for a sample that was handed to a person."""
    probability: float | None
    """Of the likeliest label; None where a sample may have several."""
    text: str
    """How the sample begins; empty where the log holds no texts."""

    @classmethod
    def of(cls, decision: LoggedDecision) -> "Seen":
        label, text = answer_words(decision.label), opening(_texts(decision.sample))
        return cls(decision.at, decision.id, decision.fingerprint, label, decision.probability, text)


@dataclass
class Tally:
    """Of decisions only the counts are kept, and as many as its lists show."""

    decisions: int = 0
    by: Counter[str] = field(default_factory=Counter)
    """By whom it was decided: model, rules, other, abstained."""
    confidence: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By whom, and the bin of the likeliest label's probability; without those of which that is not known."""
    labels: Counter[str] = field(default_factory=Counter)
    """A decision for several labels counts for each; one that was handed to a person for none."""
    without_rule: int = 0
    """Decisions about samples on which no rule held."""
    labels_without_rule: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    """How often each rule held, by its id."""
    _unsure: list[Seen] = field(default_factory=list)
    """The least sure ones are among these."""
    _sure: float = math.inf
    """From this probability on a decision is none of the least sure."""
    _latest_without_rule: deque[Seen] = field(default_factory=lambda: deque(maxlen=SHOWN))

    def add(self, decision: LoggedDecision) -> None:
        """Count a decision, which was made after all others."""
        self.decisions += 1
        self.by[decision.by] += 1
        labels = _labels(decision)
        for label in labels:
            self.labels[label] += 1
        if decision.probability is not None:
            self.confidence[decision.by, min(int(decision.probability * BINS), BINS - 1)] += 1
            if decision.probability < self._sure:
                self._keep([Seen.of(decision)])
        for rule in decision.rules:
            self.rules[rule] += 1
        if not decision.rules:
            self.without_rule += 1
            for label in labels:
                self.labels_without_rule[label] += 1
            self._latest_without_rule.append(Seen.of(decision))

    def merge(self, later: "Tally") -> None:
        """Count what `later` counted, of decisions that were made after these."""
        self.decisions += later.decisions
        self.without_rule += later.without_rule
        self.by.update(later.by)
        self.confidence.update(later.confidence)
        self.labels.update(later.labels)
        self.labels_without_rule.update(later.labels_without_rule)
        self.rules.update(later.rules)
        self._keep(later._unsure)
        self._latest_without_rule.extend(later._latest_without_rule)

    @property
    def least_sure(self) -> list[Seen]:
        """The least sure decisions, the least sure one first."""
        return heapq.nsmallest(SHOWN, self._unsure, key=_probability)

    @property
    def latest_without_rule(self) -> list[Seen]:
        """Decisions about samples on which no rule held, the latest first."""
        return [*reversed(self._latest_without_rule)]

    def _keep(self, seen: list[Seen]) -> None:
        self._unsure += seen
        if len(self._unsure) >= 2 * SHOWN:  # not for every one
            self._unsure = self.least_sure
            self._sure = _probability(self._unsure[-1])


def _labels(decision: LoggedDecision) -> tuple[str, ...]:
    if decision.label is None:
        return ()
    return (decision.label,) if isinstance(decision.label, str) else decision.label or (NO_LABEL_HOLDS,)


def _probability(seen: Seen) -> float:
    return math.inf if seen.probability is None else seen.probability


def opening(texts: Iterable[str]) -> str:
    """What is said, in one line, up to some length."""
    said: list[str] = []
    for text in texts:
        said.append(" ".join(text[:_LONGEST].split()))
        if sum(map(len, said)) > _LONGEST:
            return " / ".join(filter(None, said))[:_LONGEST] + "…"
    return " / ".join(filter(None, said))


def _texts(sample: dict[str, Any] | None) -> Iterator[str]:
    """Of the turns of a sample in KDSL's plain form."""
    turns = None if sample is None else sample.get("turns")
    for turn in turns if isinstance(turns, list) else ():
        text = turn.get("text") if isinstance(turn, dict) else None
        if isinstance(text, str):
            yield text
