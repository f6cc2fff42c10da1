"""What a rule weighs, decided in one place for training, prediction, distillation and the review page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from kdsl.arbiter.evidence import Flags, Floats, RuleEvidence, label_evidence
from kdsl.arbiter.shift import Heard, Means, shifts
from kdsl.mining.archive import RuleKey, as_mined
from kdsl.mining.reliability import Shown
from kdsl.record_file import Count, RecordModel, Share
from kdsl.rules.rule import Rule
from kdsl.rules.statistics import RuleStatistics, wilson_interval

EXPECTED = 0.9
"""The precision that an approval leads to expect: it says 0.8 at least (`shift.VOUCHED`), and 1 is the most."""
_LEAST, _MOST = 1e-3, 1 - 1e-3


class Measured(RecordModel):
    """How often the conditions with hash `when` are right about `label`."""

    id: str
    when: str
    label: str
    reliability: float = Field(gt=0, lt=1)
    """Estimated precision out of sample, before any review."""
    hits: Count
    correct: Count
    """Counts on the training samples."""

    @classmethod
    def of(
        cls, task: str, rule: Rule, shown: Shown, estimate: float, entry: RuleStatistics | None = None
    ) -> "Measured":
        """How often a rule is right that shows `shown` on training samples: what mining measured, where that is known.

        For others it is `estimate`, which the map from training counts to reliability gives, as far as the rule's own
        counts allow: up to the upper end of their 95 % Wilson interval. The map was learned from mined rules, all of
        which look good in training; what people write need not. `entry` are the rule's statistics; those of a rule
        that people gave another label, which keeps its id and its conditions, speak about the old label.
        """
        reliability = min(estimate, wilson_interval(shown.correct, shown.hits)[1])
        if entry is not None and entry.reliability is not None and as_mined(task, rule):
            reliability = entry.reliability
        return cls(
            id=rule.id, when=rule.when_hash, label=rule.label, reliability=min(max(reliability, _LEAST), _MOST),
            hits=shown.hits, correct=shown.correct,
        )  # fmt: skip

    def reviewed(self, approved: bool) -> float:
        """The reliability that counts, 0 to 1: higher when a person accepted the rule as it now stands.

        An approval says "right at least four times in five", which is `EXPECTED` on average, and is believed as far as
        the training samples allow: up to the upper end of the 95 % Wilson interval of the precision there.
        """
        if not approved:
            return self.reliability
        return max(self.reliability, min(EXPECTED, wilson_interval(self.correct, self.hits)[1]))


class Standing(Measured):
    """A measured rule with its weight: how much it adds to the log odds of its label beside the model, at least 0."""

    weight: float = Field(ge=0)
    """As long as nobody has accepted it."""
    accepted_weight: float = Field(ge=0)
    """Once a person has accepted it as it stands."""

    @classmethod
    def of_all(cls, measured: Sequence[Measured], heard: Heard, means: Means) -> "tuple[Standing, ...]":
        """The standings of rules that `heard` tells the hits of; one that would lower the odds of its label says
        nothing."""
        proposed, accepted = (
            shifts(heard, np.array([each.reviewed(approved) for each in measured]), np.full(len(measured), mean))
            for approved, mean in ((False, means.mined), (True, means.people))
        )
        return tuple(
            cls(**each.model_dump(), weight=max(low, 0.0), accepted_weight=max(high, 0.0))
            for each, low, high in zip(measured, proposed.tolist(), accepted.tolist(), strict=True)
        )


class RuleWeigher:
    """Weighs rules by what training found out about them."""

    def __init__(
        self,
        labels: Sequence[str],
        base_rates: Sequence[float],
        standings: Sequence[Standing],
        overlaps: Sequence[tuple[int, int, Share]],
        people: bool,
        mined: bool,
    ) -> None:
        """`base_rates` [n_labels]; `overlaps` are (i, j, overlap) of two `standings`, i < j.

        `people` is whether rules count that a person accepted as they stand, `mined` whether the others do.
        """
        self._labels = {name: i for i, name in enumerate(labels)}
        self._base_rates = np.array(base_rates, dtype=np.float64)
        self._standings = standings
        self._counts = {True: people, False: mined}
        self._places = {(standing.label, standing.when): i for i, standing in enumerate(standings)}
        first, second, values = zip(*overlaps, strict=True) if overlaps else ((), (), ())
        size = len(standings) + 1  # the last row, which -1 names, is that of unknown rules
        pairs = np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)
        upper = csr_matrix((np.array(values, dtype=np.float64), pairs), shape=(size, size))
        self._overlaps = (upper + upper.T).tocsr()

    def weigh(self, rules: Sequence[Rule]) -> "WeighedRules":
        """What `rules` are worth, all of labels that training knew."""
        labels = np.array([self._labels[rule.label] for rule in rules], dtype=np.int64)
        places = self.places((rule.label, rule.when_hash) for rule in rules)
        people = np.array([rule.approved for rule in rules], dtype=bool)
        reliability, weights = self.weights(labels, places, people)
        return WeighedRules(tuple(rules), labels, people, reliability, weights, self.overlaps(places), places >= 0)

    def places(self, keys: Iterable[RuleKey]) -> NDArray[np.int64]:
        """Which of the standings are those of rules with these keys, -1 where training did not know one: [n_rules]."""
        return np.array([self._places.get(key, -1) for key in keys], dtype=np.int64)

    def weights(self, labels: NDArray[np.int64], places: NDArray[np.int64], people: Flags) -> tuple[Floats, Floats]:
        """Reliability and weight of rules by their labels, places and whether people accepted them, all [n_rules].

        A rule that training did not know has its label's base rate and weight 0, one of a part that does not count
        weight 0.
        """
        reliability = self._base_rates[labels]
        weights = np.zeros(len(labels))
        for i in np.flatnonzero(places >= 0).tolist():
            standing, accepted = self._standings[places[i]], bool(people[i])
            reliability[i] = standing.reviewed(accepted)
            weights[i] = self.weight(standing, accepted)
        return reliability, weights

    def weight(self, standing: Standing, accepted: bool) -> float:
        """What a rule of that standing weighs, `accepted` by a person or not."""
        if not self._counts[accepted]:
            return 0.0
        return standing.accepted_weight if accepted else standing.weight

    def overlaps(self, places: NDArray[np.int64]) -> Floats:
        """The overlaps of rules at `places`, 0 for those that training did not know: [n_rules, n_rules]."""
        rows = places % self._overlaps.shape[0]
        return self._overlaps[rows][:, rows].toarray()


@dataclass(frozen=True)
class WeighedRules:
    """Rules with all that the merge needs to know about them."""

    rules: tuple[Rule, ...]
    labels: NDArray[np.int64]
    """Index into the task's labels. [n_rules]"""
    people: Flags
    """Whether a person accepted the rule as it stands. [n_rules]"""
    reliability: Floats
    weights: Floats
    overlaps: Floats
    """[n_rules, n_rules]"""
    known: NDArray[np.bool_]
    """Whether training knew the rule as it stands. [n_rules]"""

    def evidence(self, hits: Flags, n_labels: int) -> RuleEvidence:
        """Evidence for every label: hits [n_samples, n_rules] to twice [n_samples, n_labels]."""
        return label_evidence(hits, self.labels, self.weights, self.overlaps, n_labels, self.people)
