"""Which decisions on training samples a rule changes: the arbiter's word with it and without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from kdsl.arbiter.arbiter import FILE, Arbiter, WeighedRules
from kdsl.arbiter.evidence import label_evidence, rule_weights
from kdsl.errors import KdslError
from kdsl.review.model_word import ModelWord
from kdsl.review.store import StoredRule
from kdsl.review.task_index import Overview, members
from kdsl.sample import Task

MOST = 200
"""Samples looked at: a rule that hits more is judged on the first of them."""


@dataclass(frozen=True)
class Effect:
    """What changes on the samples that a rule hits; labels are indices into the task's."""

    weight: float | None
    """The rule's weight; None where training did not know the rule as it stands."""
    looked_at: int
    changed: tuple[tuple[int, int, int], ...]
    """(sample, label without the rule, label with it) where these differ."""


class TrainedArbiter:
    """The arbiter of a checkpoint, ready to be asked about few samples and rules at a time."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._known = {(standing.label, standing.when): i for i, standing in enumerate(arbiter.rules)}
        first, second, value = (
            (np.array(column) for column in zip(*arbiter.overlaps, strict=True))
            if (arbiter.overlaps)
            else (np.zeros(0, dtype=int),) * 3
        )
        size = len(arbiter.rules) + 1  # the last row is that of unknown rules
        upper = csr_matrix((value, (first.astype(int), second.astype(int))), shape=(size, size))
        self._overlaps = (upper + upper.T).tocsr()

    @classmethod
    def load(cls, checkpoint: Path, task: Task) -> "TrainedArbiter | None":
        """None where the task was not trained, or for other labels. Raises KdslError for a damaged file."""
        folder = checkpoint / task.name
        if not (folder / FILE).exists():
            return None
        arbiter = Arbiter.load(folder)
        return cls(arbiter) if arbiter.labels == task.label_names else None

    @property
    def rules_count(self) -> bool:
        """Whether the arbiter listens to rules at all."""
        return self._arbiter.merged

    def effect(self, overview: Overview, rule: int, word: ModelWord) -> Effect | None:
        """What the rule at position `rule` changes; an inactive rule is looked at as if it were accepted.

        None for a rule with a label that the task does not have.
        """
        if overview.labels[rule] < 0:
            return None
        rows = members(overview.bits[rule], len(word.known))
        looked_at = rows[word.known[rows]][:MOST]
        words, shifts = looked_at >> 6, (looked_at & 63).astype(np.uint64)
        used = overview.active & (overview.labels >= 0)
        used[rule] = True
        chosen = np.flatnonzero(used)
        hits = (overview.bits[np.ix_(chosen, words)] >> shifts[None, :]) & np.uint64(1)  # [n_chosen, n_looked_at]
        speaking = hits.any(axis=1) | (chosen == rule)
        chosen, flags = chosen[speaking], hits[speaking].T.astype(bool)
        weighed = self._weigh([overview.rules[i] for i in chosen], overview.labels[chosen], overview.rules[rule])
        own = int(np.flatnonzero(chosen == rule)[0])
        weight = float(weighed.weights[own]) if weighed.known[own] else None
        with_rule = weighed.evidence(flags, len(self._arbiter.labels))
        # Without the rule only the evidence for its own label is another.
        rest = np.flatnonzero((weighed.labels == overview.labels[rule]) & (np.arange(len(chosen)) != own))
        without = with_rule.copy()
        without[:, overview.labels[rule]] = label_evidence(
            flags[:, rest], weighed.labels[rest], weighed.weights[rest], weighed.overlaps[np.ix_(rest, rest)],
            len(self._arbiter.labels),
        )[:, overview.labels[rule]]  # fmt: skip
        after, before = (
            self._arbiter.pool.probabilities(word.probabilities[looked_at], evidence).argmax(axis=1)
            for evidence in (with_rule, without)
        )
        changed = tuple(
            (int(looked_at[i]), int(before[i]), int(after[i])) for i in np.flatnonzero(before != after)
        )  # fmt: skip
        return Effect(weight, len(looked_at), changed)

    def _weigh(self, rules: Sequence[StoredRule], labels: NDArray[np.int64], asked: StoredRule) -> WeighedRules:
        """As `Arbiter.weigh`, whose table of all overlaps is too large to be made for every page."""
        places = np.array([self._known.get((stored.rule.label, stored.when), -1) for stored in rules], dtype=np.int64)
        base = np.array(self._arbiter.base_rates)[labels]
        reliability = base.copy()
        for i, (place, stored) in enumerate(zip(places, rules, strict=True)):
            if place >= 0:
                rule = stored.rule
                if stored is asked and rule.status in ("rejected", "disabled"):
                    rule = rule.model_copy(update={"status": "accepted"})
                reliability[i] = self._arbiter.rules[place].reviewed(rule)
        weights = np.where(places >= 0, rule_weights(reliability, base), 0.0)
        overlaps = self._overlaps[places % self._overlaps.shape[0]][:, places % self._overlaps.shape[0]].toarray()
        return WeighedRules(
            tuple(stored.rule for stored in rules), labels, reliability, weights, overlaps, places >= 0
        )


def arbiter_or_reason(checkpoint: Path, task: Task) -> tuple[TrainedArbiter | None, str]:
    """The arbiter, or why there is none: a damaged checkpoint must not keep people from reviewing."""
    try:
        arbiter = TrainedArbiter.load(checkpoint, task)
    except KdslError as error:
        return None, str(error)
    return arbiter, "" if arbiter is not None else "not trained"
