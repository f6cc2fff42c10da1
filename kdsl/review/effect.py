"""Which training samples are decided differently with a rule than without it, or after an edit of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import ARBITER_FILE, Arbiter
from kdsl.arbiter.evidence import Floats, RuleEvidence, label_evidence
from kdsl.arbiter.multi_label import decided, pooled
from kdsl.arbiter.shift import Heard
from kdsl.arbiter.weighing import Measured, RuleWeigher, Standing
from kdsl.bitmaps import Bitmap, Flags, contains, count, members, pack, unpack
from kdsl.errors import KdslError
from kdsl.files import is_there
from kdsl.mining.archive import ARCHIVE_FILE, load_archive, shown_of
from kdsl.mining.reliability import Reliability
from kdsl.review.model_predictions import ModelPredictions
from kdsl.review.task_index import Counts, Overview, TaskIndex
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import ACTIVE
from kdsl.rules.statistics import RuleStatistics
from kdsl.sample import Sample, Task

MOST_JUDGED = 200
"""Samples looked at: a rule that hits more is judged on the first of them."""
NOT_TRAINED = "not trained"


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
    """(sample, label before, label after) where these differ; -1 for a label of several that does not hold."""

    def gains(self, samples: Sequence[Sample], labels: Sequence[str]) -> int:
        """Decisions that become right."""
        return sum(self.is_right(samples[row], labels, new, old) for row, old, new in self.changed)

    def losses(self, samples: Sequence[Sample], labels: Sequence[str]) -> int:
        """Decisions that become wrong."""
        return sum(self.is_right(samples[row], labels, old, new) for row, old, new in self.changed)

    @staticmethod
    def is_right(sample: Sample, labels: Sequence[str], said: int, otherwise: int) -> bool:
        """Whether a decision for the label `said` is right that is for `otherwise` without the rule, or with it.

        -1 says that the other one does not hold.
        """
        given = sample.given_labels or ()
        return labels[otherwise] not in given if said < 0 else labels[said] in given


@dataclass(frozen=True)
class _Speakers:
    """The rules that speak on some samples: `flags` [n_samples, n_rules], all others [n_rules]."""

    flags: Flags
    labels: Counts
    people: Flags
    """Which of them a person accepted as they stand."""
    weights: Floats
    places: Counts
    """Which rule of the arbiter's each is; -1 for one that training did not know."""
    weigher: RuleWeigher
    asked: int
    """The rule that the question is about, -1 for none."""
    shared: Floats
    """Its overlaps with all, where training did not know it."""

    def evidence(
        self, n_labels: int, keep: Flags, but: RuleEvidence | None = None, of: Sequence[int] = ()
    ) -> RuleEvidence:
        """Evidence of the rules that `keep` marks; with `but` only that for the labels `of` is another."""
        n_rows = len(self.flags)
        result = RuleEvidence.none(n_rows, n_labels) if but is None else but.rows(np.arange(n_rows))
        for label in np.unique(self.labels).tolist() if but is None else sorted(set(of)):
            found = self._for(label, np.flatnonzero(keep & (self.labels == label)), n_labels)
            result.people[:, label], result.mined[:, label] = found.people[:, label], found.mined[:, label]
        return result

    def _for(self, label: int, chosen: Counts, n_labels: int) -> RuleEvidence:
        overlaps = self.weigher.overlaps(self.places[chosen])
        if self.asked in chosen and self.places[self.asked] < 0:
            at = int(np.flatnonzero(chosen == self.asked)[0])
            overlaps[at] = overlaps[:, at] = self.shared[chosen]
        of_label = np.full(len(chosen), label)
        return label_evidence(
            self.flags[:, chosen], of_label, self.weights[chosen], overlaps, n_labels, self.people[chosen]
        )


class TrainedArbiter:
    """The arbiter of a checkpoint, ready to be asked about few samples and rules at a time."""

    def __init__(self, arbiter: Arbiter, reliability: Reliability | None = None) -> None:
        """`reliability` estimates what rules are worth that training did not know; None leaves them without weight."""
        self._arbiter = arbiter
        self._reliability = reliability
        self._weigher = arbiter.weigher

    @classmethod
    def load(cls, checkpoint: Path, task: Task) -> "TrainedArbiter | None":
        """None where the task was not trained, or for other labels. Raises KdslError for a damaged file."""
        arbiter_file, archive_file = trained_files(checkpoint, task.name)
        if not is_there(arbiter_file):
            return None
        arbiter = Arbiter.load(arbiter_file.parent)
        if arbiter.labels != task.label_names or arbiter.multi != task.multi:
            return None
        return cls(arbiter, load_archive(archive_file).reliability if is_there(archive_file) else None)

    @property
    def rules_count(self) -> bool:
        """Whether the arbiter listens to rules that people accept."""
        return self._arbiter.b_people > 0

    @property
    def proposed_count(self) -> bool:
        """Whether it listens to rules that nobody has accepted."""
        return self._arbiter.b_mined > 0

    @property
    def _only_accepted(self) -> bool:
        return self.rules_count and not self.proposed_count

    def effect(self, index: TaskIndex, overview: Overview, rule: int, predictions: ModelPredictions) -> Effect | None:
        """What the rule at position `rule` changes; one that does not count is looked at as if it were accepted.

        None for a rule with a label that the task does not have.
        """
        label = int(overview.labels[rule])
        if label < 0:
            return None
        rows = members(overview.bits[rule])
        rows = rows[predictions.known[rows]][:MOST_JUDGED]
        used = overview.active & (overview.labels >= 0)
        used[rule] = True
        asked, when = overview.rules[rule].rule, overview.rules[rule].when
        silent = asked.status not in ACTIVE or (self._only_accepted and not overview.rules[rule].approved)
        if silent:
            review = asked.review.model_copy(update={"of": when})
            asked = asked.model_copy(update={"status": "accepted", "review": review})
        chosen, flags = _speaking(overview, used, rows, rule)
        own = chosen == rule
        places, people, weights = self._known(overview, chosen)
        [known] = self._weigher.places([(asked.label, when)]).tolist()
        weight = self._weight(index, overview.bits[rule], asked, known, overview.statistics[rule], predictions)
        speakers = _Speakers(
            flags, overview.labels[chosen], np.where(own, asked.approved, people),
            np.where(own, weight or 0.0, weights), places, self._weigher,
            int(np.flatnonzero(own)[0]), _overlaps(overview, chosen, overview.bits[rule], label),
        )  # fmt: skip
        n_labels = len(self._arbiter.labels)
        after = speakers.evidence(n_labels, np.ones_like(own))
        before = speakers.evidence(n_labels, ~own, after, [label])
        return Effect(weight, known < 0, silent, len(rows), self._changes(predictions, rows, before, after))

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
        before = np.zeros_like(hits) if saved is None else unpack(overview.bits[saved], len(hits))
        # What is hit anew or no more comes first, where not all can be looked at.
        rows = np.concatenate([np.flatnonzero(hits != before), np.flatnonzero(hits & before)])
        rows = np.sort(rows[predictions.known[rows]][:MOST_JUDGED])
        used = overview.active & (overview.labels >= 0)
        chosen, flags = _speaking(overview, used, rows, None)
        places, people, weights = self._known(overview, chosen)
        bits = pack(hits)
        [known] = self._weigher.places([(rule.label, rule.when_hash)]).tolist()
        weight = self._weight(index, bits, rule, known, None, predictions)
        speakers = _Speakers(
            np.column_stack([flags, hits[rows]]), np.append(overview.labels[chosen], label),
            np.append(people, rule.approved), np.append(weights, weight or 0.0), np.append(places, known),
            self._weigher, len(chosen), np.append(_overlaps(overview, chosen, bits, label), 0.0),
        )  # fmt: skip
        n_labels = len(self._arbiter.labels)
        is_old, is_new = np.append(chosen == saved, False), np.arange(len(chosen) + 1) == len(chosen)
        now = speakers.evidence(n_labels, ~is_new)
        touched = {label} if saved is None else {label, int(overview.labels[saved])} - {-1}
        then = speakers.evidence(n_labels, ~is_old, now, sorted(touched))
        return Effect(weight, known < 0, True, len(rows), self._changes(predictions, rows, now, then))

    def _changes(
        self, predictions: ModelPredictions, rows: NDArray[np.int64], before: RuleEvidence, after: RuleEvidence
    ) -> tuple[tuple[int, int, int], ...]:
        if self._arbiter.multi:
            return self._label_changes(predictions, rows, before, after)
        old, new = (
            self._arbiter.pool.probabilities(predictions.probabilities[rows], evidence).argmax(axis=1)
            for evidence in (before, after)
        )
        return tuple((int(rows[i]), int(old[i]), int(new[i])) for i in np.flatnonzero(old != new))

    def _label_changes(
        self, predictions: ModelPredictions, rows: NDArray[np.int64], before: RuleEvidence, after: RuleEvidence
    ) -> tuple[tuple[int, int, int], ...]:
        """The labels, of several a sample, that hold and did not, or the other way round."""
        old, new = (
            decided(
                pooled(self._arbiter.pool, predictions.probabilities[rows], evidence),
                np.array(self._arbiter.thresholds),
            )
            for evidence in (before, after)
        )
        return tuple(
            (int(rows[i]), label if old[i, label] else -1, label if new[i, label] else -1)
            for i, label in np.argwhere(old != new).tolist()
        )

    def _known(self, overview: Overview, chosen: Counts) -> tuple[Counts, Flags, Floats]:
        """Places, approvals and weights of the rules at the positions `chosen`."""
        rules = [overview.rules[i] for i in chosen]
        places = self._weigher.places((stored.rule.label, stored.when) for stored in rules)
        people = np.array([stored.approved for stored in rules], dtype=bool)
        return places, people, self._weigher.weights(overview.labels[chosen], places, people)[1]

    def _weight(
        self,
        index: TaskIndex,
        bits: Bitmap,
        rule: Rule,
        known: int,
        entry: RuleStatistics | None,
        predictions: ModelPredictions,
    ) -> float | None:
        """The weight of a rule, where training did not know it the one that it would give it."""
        if known >= 0:
            return self._weigher.weight(self._arbiter.rules[known], rule.approved)
        if self._reliability is None:
            return None
        hits = unpack(bits, len(index.samples))
        shown = shown_of(rule, hits, index.labels, index.task)
        measured = Measured.of(index.task.name, rule, shown, float(self._reliability.estimate([shown])[0]), entry)
        rows = np.flatnonzero(hits & predictions.known)
        model = predictions.probabilities[rows]
        alone, silence = self._arbiter.model_alone, RuleEvidence.none(*model.shape)
        tempered = pooled(alone, model, silence) if self._arbiter.multi else alone.probabilities(model, silence)
        label = np.array([index.task.label_names.index(rule.label)])
        heard = Heard.of(np.ones((len(rows), 1), dtype=bool), label, tempered)
        base_rate = np.array(self._arbiter.base_rates)[label]
        [standing] = Standing.of_all([measured], heard, base_rate, self._arbiter.mean_people)
        return self._weigher.weight(standing, rule.approved)


def _speaking(overview: Overview, used: Flags, rows: NDArray[np.int64], always: int | None) -> tuple[Counts, Flags]:
    """Positions of those `used` rules that hit one of the samples `rows`, and of `always`: flags [n_rows, n_rules]."""
    chosen = np.flatnonzero(used)
    hits = contains(overview.bits[chosen], rows)
    speaking = hits.any(axis=1) | (chosen == (-1 if always is None else always))
    return chosen[speaking], hits[speaking].T


def _overlaps(overview: Overview, chosen: Counts, bits: Bitmap, label: int) -> Floats:
    """Jaccard overlap of a rule with those at `chosen`, 0 for other labels; see `kdsl.arbiter.evidence.overlap`."""
    shared = count(overview.bits[chosen] & bits[None, :])
    either = overview.hits[chosen] + int(count(bits)) - shared
    return np.where(overview.labels[chosen] == label, shared / np.maximum(either, 1), 0.0)


def trained_files(checkpoint: Path, task: str) -> list[Path]:
    """What `TrainedArbiter.load` reads: the arbiter, and the archive of mining."""
    return [checkpoint / task / ARBITER_FILE, checkpoint / task / ARCHIVE_FILE]


def arbiter_or_reason(checkpoint: Path, task: Task) -> tuple[TrainedArbiter | None, str]:
    """The arbiter, or why there is none: a damaged checkpoint must not keep people from reviewing."""
    try:
        arbiter = TrainedArbiter.load(checkpoint, task)
    except KdslError as error:
        return None, error.in_commands()
    return arbiter, "" if arbiter is not None else NOT_TRAINED
