"""What a service decided about the samples of one task: counts, and the few decisions that are worth a look."""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
    least_sure: list[Seen] = field(default_factory=list)
    """The least sure one first."""
    latest_without_rule: list[Seen] = field(default_factory=list)
    """Of samples on which no rule held, the latest first."""

    @classmethod
    def of(cls, decisions: Sequence[LoggedDecision]) -> "Tally":
        """`decisions` in the order in which they were made."""
        sure = [(each.probability, each) for each in decisions if each.probability is not None]
        without = [each for each in decisions if not each.rules]
        return cls(
            decisions=len(decisions),
            by=Counter(each.by for each in decisions),
            confidence=Counter((each.by, min(int(share * BINS), BINS - 1)) for share, each in sure),
            labels=_labels(decisions),
            without_rule=len(without),
            labels_without_rule=_labels(without),
            rules=Counter(rule for each in decisions for rule in each.rules),
            least_sure=[Seen.of(each) for _, each in heapq.nsmallest(SHOWN, sure, key=lambda pair: pair[0])],
            latest_without_rule=[Seen.of(each) for each in reversed(without[-SHOWN:])],
        )

    def merge(self, later: "Tally") -> None:
        """Count what `later` counted, of decisions that were made after these."""
        self.decisions += later.decisions
        self.by.update(later.by)
        self.confidence.update(later.confidence)
        self.labels.update(later.labels)
        self.without_rule += later.without_rule
        self.labels_without_rule.update(later.labels_without_rule)
        self.rules.update(later.rules)
        self.least_sure = heapq.nsmallest(SHOWN, self.least_sure + later.least_sure, key=_probability)
        self.latest_without_rule = (later.latest_without_rule + self.latest_without_rule)[:SHOWN]


def _labels(decisions: Sequence[LoggedDecision]) -> Counter[str]:
    one = Counter(each.label for each in decisions if isinstance(each.label, str))
    one.update(
        label for each in decisions if isinstance(each.label, tuple) for label in each.label or (NO_LABEL_HOLDS,)
    )  # fmt: skip
    return one


def _probability(seen: Seen) -> float:
    return math.inf if seen.probability is None else seen.probability


def opening(texts: Iterable[str]) -> str:
    """What is said, in one line, up to some length."""
    said: list[str] = []
    for text in texts:
        said.append(" ".join(text[: _LONGEST + 1].split()))
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
