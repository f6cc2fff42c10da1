"""What a rule weighs, decided in one place for training, prediction, distillation and the review page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from kdsl.arbiter.evidence import Floats, label_evidence
from kdsl.mining.archive import RuleKey, as_mined
from kdsl.mining.reliability import Shown, rule_weights
from kdsl.record_file import Count, RecordModel, Share
from kdsl.rules.rule import Rule
from kdsl.rules.statistics import RuleStatistics, wilson_interval

REVIEWED = 0.8
"""What a person's approval lifts a rule's reliability to: rules with less should not have been accepted."""
_LEAST, _MOST = 1e-3, 1 - 1e-3


class Standing(RecordModel):
    """What the conditions with hash `when` are worth for `label`."""

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
    ) -> "Standing":
        """What a rule is worth that shows `shown` on training samples: what mining measured, where that is known.

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

        An approval says "right at least `REVIEWED` of the time", and is believed as far as the training samples allow:
        up to the upper end of the 95 % Wilson interval of the precision there.
        """
        if not approved:
            return self.reliability
        return max(self.reliability, min(REVIEWED, wilson_interval(self.correct, self.hits)[1]))


class RuleWeigher:
    """Weighs rules by what training found out about them."""

    def __init__(
        self,
        labels: Sequence[str],
        base_rates: Sequence[float],
        standings: Sequence[Standing],
        overlaps: Sequence[tuple[int, int, Share]],
        accepted_only: bool,
    ) -> None:
        """`base_rates` [n_labels]; `overlaps` are (i, j, overlap) of two `standings`, i < j.

        With `accepted_only` rules weigh nothing unless a person accepted them as they stand.
        """
        self._labels = {name: i for i, name in enumerate(labels)}
        self._base_rates = np.array(base_rates, dtype=np.float64)
        self._standings = standings
        self._accepted_only = accepted_only
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
        reliability, weights = self.weights(labels, places, [rule.approved for rule in rules])
        return WeighedRules(tuple(rules), labels, reliability, weights, self.overlaps(places), places >= 0)

    def places(self, keys: Iterable[RuleKey]) -> NDArray[np.int64]:
        """Which of the standings are those of rules with these keys, -1 where training did not know one: [n_rules]."""
        return np.array([self._places.get(key, -1) for key in keys], dtype=np.int64)

    def weights(
        self, labels: NDArray[np.int64], places: NDArray[np.int64], approved: Sequence[bool]
    ) -> tuple[Floats, Floats]:
        """Reliability and weight of rules by their labels, places and whether people approved them, all [n_rules].

        A rule that training did not know has its label's base rate and weight 0.
        """
        base = self._base_rates[labels]
        reliability = base.copy()
        for i in np.flatnonzero(places >= 0).tolist():
            reliability[i] = self._standings[places[i]].reviewed(approved[i])
        counts = places >= 0
        if self._accepted_only:
            counts &= np.array(approved, dtype=bool)
        return reliability, np.where(counts, rule_weights(reliability, base), 0.0)

    def weight(self, standing: Standing, approved: bool) -> float:
        """What a rule of that standing weighs where rules like it count."""
        return float(rule_weights(standing.reviewed(approved), self._base_rates[self._labels[standing.label]]))

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
    reliability: Floats
    weights: Floats
    overlaps: Floats
    """[n_rules, n_rules]"""
    known: NDArray[np.bool_]
    """Whether training knew the rule as it stands. [n_rules]"""

    def evidence(self, hits: NDArray[np.bool_], n_labels: int) -> Floats:
        """Evidence for every label: hits [n_samples, n_rules] to [n_samples, n_labels]."""
        return label_evidence(hits, self.labels, self.weights, self.overlaps, n_labels)
