"""Which training samples are decided differently with a rule than without it, or after an edit of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from kdsl.arbiter.arbiter import ARBITER_FILE, Arbiter, Standing
from kdsl.arbiter.evidence import Floats, label_evidence, rule_weights
from kdsl.errors import KdslError
from kdsl.files import is_there
from kdsl.mining.archive import ARCHIVE_FILE, load_archive, shown_of
from kdsl.mining.reliability import Reliability
from kdsl.review.model_predictions import ModelPredictions
from kdsl.review.store import StoredRule
from kdsl.review.task_index import Bits, Counts, Overview, TaskIndex, members, pack, popcount
from kdsl.rules.rule import Rule, rule_id
from kdsl.rules.rulebase import ACTIVE
from kdsl.rules.statistics import RuleStatistics, wilson_interval
from kdsl.sample import Sample, Task

MOST_JUDGED = 200
"""Samples looked at: a rule that hits more is judged on the first of them."""
NOT_TRAINED = "not trained"
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Effect:
    """What changes on the samples that a rule hits; labels are indices into the task's."""

    weight: float | None
    """The rule's weight; None where neither training knew the rule as it stands nor mining left a way to estimate."""
    estimated: bool
    """Whether training did not know the rule as it stands: the weight is then what training would give it."""
    once_accepted: bool
    """Whether the rule counts once somebody accepts it, and not before."""
    samples: int
    changed: tuple[tuple[int, int, int], ...]
    """(sample, label before, label after) where these differ."""

    def gains(self, samples: Sequence[Sample], labels: Sequence[str]) -> int:
        """Decisions that become right."""
        return sum(labels[new] == samples[row].label for row, _, new in self.changed)

    def losses(self, samples: Sequence[Sample], labels: Sequence[str]) -> int:
        """Decisions that become wrong."""
        return sum(labels[old] == samples[row].label for row, old, _ in self.changed)


@dataclass(frozen=True)
class _Speakers:
    """The rules that speak on some samples: `flags` [n_samples, n_rules], all others [n_rules]."""

    flags: Flags
    labels: Counts
    weights: Floats
    places: Counts
    """Which rule of the arbiter's each is; -1 for one that training did not know."""
    known: csr_matrix
    """Overlaps of the arbiter's rules; the last row, which -1 names, is empty."""
    asked: int
    """The rule that the question is about, -1 for none."""
    shared: Floats
    """Its overlaps with all, where training did not know it."""

    def evidence(self, n_labels: int, keep: Flags, but: Floats | None = None, of: Sequence[int] = ()) -> Floats:
        """Evidence of the rules that `keep` marks; with `but` only that for the labels `of` is another."""
        result = np.zeros((len(self.flags), n_labels)) if but is None else but.copy()
        for label in np.unique(self.labels) if but is None else set(of):
            result[:, label] = self._for(int(label), np.flatnonzero(keep & (self.labels == label)), n_labels)
        return result

    def _for(self, label: int, chosen: Counts, n_labels: int) -> Floats:
        places = self.places[chosen] % self.known.shape[0]
        overlaps = self.known[places][:, places].toarray()
        if self.asked in chosen and self.places[self.asked] < 0:
            at = int(np.flatnonzero(chosen == self.asked)[0])
            overlaps[at] = overlaps[:, at] = self.shared[chosen]
        of_label = np.full(len(chosen), label)
        return label_evidence(self.flags[:, chosen], of_label, self.weights[chosen], overlaps, n_labels)[:, label]


class TrainedArbiter:
    """The arbiter of a checkpoint, ready to be asked about few samples and rules at a time."""

    def __init__(self, arbiter: Arbiter, reliability: Reliability | None = None) -> None:
        """`reliability` estimates what rules are worth that training did not know; None leaves them without weight."""
        self._arbiter = arbiter
        self._reliability = reliability
        self._approved: dict[int, float] = {}
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
        arbiter_file, archive_file = trained_files(checkpoint, task.name)
        if not is_there(arbiter_file):
            return None
        arbiter = Arbiter.load(arbiter_file.parent)
        if arbiter.labels != task.label_names:
            return None
        return cls(arbiter, load_archive(archive_file).reliability if is_there(archive_file) else None)

    @property
    def rules_count(self) -> bool:
        """Whether the arbiter listens to rules at all."""
        return self._arbiter.listens_to != "none"

    @property
    def _accepted_only(self) -> bool:
        return self._arbiter.listens_to == "accepted"

    def effect(self, index: TaskIndex, overview: Overview, rule: int, predictions: ModelPredictions) -> Effect | None:
        """What the rule at position `rule` changes; one that does not count is looked at as if it were accepted.

        None for a rule with a label that the task does not have.
        """
        label = int(overview.labels[rule])
        if label < 0:
            return None
        rows = members(overview.bits[rule], len(predictions.known))
        rows = rows[predictions.known[rows]][:MOST_JUDGED]
        used = overview.active & (overview.labels >= 0)
        used[rule] = True
        asked, when = overview.rules[rule].rule, overview.rules[rule].when
        silent = asked.status not in ACTIVE or (self._accepted_only and not overview.rules[rule].approved)
        if silent:
            review = asked.review.model_copy(update={"of": when})
            asked = asked.model_copy(update={"status": "accepted", "review": review})
        chosen, flags = _speaking(overview, used, rows, rule)
        own = chosen == rule
        places, weights = self._places_and_weights(overview, chosen)
        known = self._known.get((asked.label, when))
        weight = self._weight(index, overview.bits[rule], asked, known, overview.statistics[rule])
        speakers = _Speakers(
            flags, overview.labels[chosen], np.where(own, weight or 0.0, weights), places, self._overlaps,
            int(np.flatnonzero(own)[0]), _overlaps(overview, chosen, overview.bits[rule], label),
        )  # fmt: skip
        n_labels = len(self._arbiter.labels)
        after = speakers.evidence(n_labels, np.ones_like(own))
        before = speakers.evidence(n_labels, ~own, after, [label])
        return Effect(weight, known is None, silent, len(rows), self._changes(predictions, rows, before, after))

    def edited(
        self,
        index: TaskIndex,
        overview: Overview,
        saved: int | None,
        rule: Rule,
        hits: Flags,
        predictions: ModelPredictions,
    ) -> Effect:
        """What changes when `rule`, accepted, which hits `hits` [n_samples], takes the place of the one at `saved`.

        With `saved` None it is a new rule.
        """
        label = index.task.label_names.index(rule.label)
        before = np.zeros_like(hits)
        if saved is not None:
            before[members(overview.bits[saved], len(hits))] = True
        # What is hit anew or no more comes first, where not all can be looked at.
        rows = np.concatenate([np.flatnonzero(hits != before), np.flatnonzero(hits & before)])
        rows = np.sort(rows[predictions.known[rows]][:MOST_JUDGED])
        used = overview.active & (overview.labels >= 0)
        chosen, flags = _speaking(overview, used, rows, None)
        places, weights = self._places_and_weights(overview, chosen)
        bits = pack(hits)
        known = self._known.get((rule.label, rule.when_hash))
        weight = self._weight(index, bits, rule, known, None)
        speakers = _Speakers(
            np.column_stack([flags, hits[rows]]), np.append(overview.labels[chosen], label),
            np.append(weights, weight or 0.0), np.append(places, -1 if known is None else known), self._overlaps,
            len(chosen), np.append(_overlaps(overview, chosen, bits, label), 0.0),
        )  # fmt: skip
        n_labels = len(self._arbiter.labels)
        is_old, is_new = np.append(chosen == saved, False), np.arange(len(chosen) + 1) == len(chosen)
        now = speakers.evidence(n_labels, ~is_new)
        touched = {label} if saved is None else {label, int(overview.labels[saved])} - {-1}
        then = speakers.evidence(n_labels, ~is_old, now, sorted(touched))
        return Effect(weight, known is None, True, len(rows), self._changes(predictions, rows, now, then))

    def _changes(
        self, predictions: ModelPredictions, rows: NDArray[np.int64], before: Floats, after: Floats
    ) -> tuple[tuple[int, int, int], ...]:
        old, new = (
            self._arbiter.pool.probabilities(predictions.probabilities[rows], evidence).argmax(axis=1)
            for evidence in (before, after)
        )
        return tuple((int(rows[i]), int(old[i]), int(new[i])) for i in np.flatnonzero(old != new))

    def _places_and_weights(self, overview: Overview, chosen: Counts) -> tuple[Counts, Floats]:
        """As `Arbiter.weigh`, whose table of all overlaps is too large to be made for every page."""
        rules = [overview.rules[i] for i in chosen]
        places = np.array([self._known.get((stored.rule.label, stored.when), -1) for stored in rules], dtype=np.int64)
        base = np.array(self._arbiter.base_rates)[overview.labels[chosen]]
        reliability = base.copy()
        for i, (place, stored) in enumerate(zip(places.tolist(), rules, strict=True)):
            if place >= 0:
                reliability[i] = self._reviewed(place, stored)
        counts = places >= 0
        if self._accepted_only:
            counts &= np.array([each.approved for each in rules], dtype=bool)
        return places, np.where(counts, rule_weights(reliability, base), 0.0)

    def _reviewed(self, place: int, stored: StoredRule) -> float:
        """`Standing.reviewed`, which makes a hash of the conditions, once for each rule."""
        standing = self._arbiter.rules[place]
        if not stored.approved:
            return standing.reliability
        if place not in self._approved:
            self._approved[place] = standing.reviewed(stored.rule)
        return self._approved[place]

    def _weight(
        self, index: TaskIndex, bits: Bits, rule: Rule, known: int | None, entry: RuleStatistics | None
    ) -> float | None:
        """The weight of a rule, where training did not know it as `kdsl.arbiter.fit` would weigh it."""
        label = index.task.label_names.index(rule.label)
        if known is not None:
            standing = self._arbiter.rules[known]
        elif self._reliability is None:
            return None
        else:
            hits = np.zeros(len(index.samples), dtype=bool)
            hits[members(bits, len(hits))] = True
            shown = shown_of(rule, hits, index.labels, index.task)
            estimate = min(
                float(self._reliability.estimate([shown])[0]), wilson_interval(shown.correct, shown.hits)[1]
            )  # fmt: skip
            as_mined = rule.id == rule_id(index.task.name, rule.label, rule.conditions)
            if entry is not None and entry.reliability is not None and as_mined:
                estimate = entry.reliability
            standing = Standing(
                id=rule.id, when=rule.when_hash, label=rule.label, reliability=min(max(estimate, 1e-3), 1 - 1e-3),
                hits=shown.hits, correct=shown.correct,
            )  # fmt: skip
        base = np.array([self._arbiter.base_rates[label]])
        return float(rule_weights(np.array([standing.reviewed(rule)]), base)[0])


def _speaking(overview: Overview, used: Flags, rows: NDArray[np.int64], always: int | None) -> tuple[Counts, Flags]:
    """Positions of those `used` rules that hit one of the samples `rows`, and of `always`: flags [n_rows, n_rules]."""
    chosen = np.flatnonzero(used)
    words, shifts = rows >> 6, (rows & 63).astype(np.uint64)
    hits = (overview.bits[np.ix_(chosen, words)] >> shifts[None, :]) & np.uint64(1)
    speaking = hits.any(axis=1) | (chosen == (-1 if always is None else always))
    return chosen[speaking], hits[speaking].T.astype(bool)


def _overlaps(overview: Overview, chosen: Counts, bits: Bits, label: int) -> Floats:
    """Jaccard overlap of a rule with those at `chosen`, 0 for other labels; see `kdsl.arbiter.evidence.overlap`."""
    shared = popcount(overview.bits[chosen] & bits[None, :])
    either = overview.hits[chosen] + int(popcount(bits)) - shared
    return np.where(overview.labels[chosen] == label, shared / np.maximum(either, 1), 0.0)


def trained_files(checkpoint: Path, task: str) -> list[Path]:
    """What `TrainedArbiter.load` reads: the arbiter, and the archive of mining."""
    return [checkpoint / task / ARBITER_FILE, checkpoint / task / ARCHIVE_FILE]


def arbiter_or_reason(checkpoint: Path, task: Task) -> tuple[TrainedArbiter | None, str]:
    """The arbiter, or why there is none: a damaged checkpoint must not keep people from reviewing."""
    try:
        arbiter = TrainedArbiter.load(checkpoint, task)
    except KdslError as error:
        return None, str(error)
    return arbiter, "" if arbiter is not None else NOT_TRAINED
