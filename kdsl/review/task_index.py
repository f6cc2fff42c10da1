"""What the rules of one task do on the training samples: bitmaps, kept while conditions stay the same, and counts."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, contains, count, pack
from kdsl.errors import KdslError
from kdsl.files import Stamp, stamp_of
from kdsl.project.refining import Refiner
from kdsl.review.alike import Likeness
from kdsl.review.finder import in_columns
from kdsl.review.model_predictions import ModelPredictions
from kdsl.review.sample_hits import FEW, SampleHits
from kdsl.review.store import StoredRule
from kdsl.review.stored_hits import StoredHits
from kdsl.review.twins import best_of_twins
from kdsl.review.value_of_looking import Precision, value_of_looking
from kdsl.rules.condition import Condition
from kdsl.rules.rulebase import ACTIVE
from kdsl.rules.statistics import RuleStatistics, StatisticsByRule, read_statistics
from kdsl.sample import Sample, Task

Counts = NDArray[np.int64]
Hits = SampleHits | StoredHits
"""Labelled samples, in memory or on disk, and which of them rules hit."""


@dataclass(frozen=True)
class Overview:
    """All rules of a task, by label and id, with their counts on the training samples; arrays are [n_rules]."""

    rules: tuple[StoredRule, ...]
    statistics: tuple[RuleStatistics | None, ...]
    bits: Bitmap
    labels: NDArray[np.int64]
    """Index into the task's labels, -1 for a label that it does not have."""
    active: NDArray[np.bool_]
    hits: Counts
    correct: Counts
    conflicts: Counts
    """Hits that an active rule for another label hits too."""
    disagree: Counts
    """Hits on which the model says another label; 0 where nothing is known of it."""
    unlabelled: Bitmap
    """The unlabelled samples that each rule hits."""
    precision: NDArray[np.float64]
    """Estimated from all that is known: held-out hits, reliability, else training hits."""
    value: NDArray[np.float64]
    """Expected number of samples decided better if somebody looked at the rule; 0 where somebody did."""
    best: NDArray[np.int64]
    """Position of the rule that each is a near copy of; its own for one that is none."""
    position: dict[str, int]

    def copies(self, rule: int) -> list[int]:
        """Positions of the near copies of a rule, the best of which it is; none of a copy."""
        return [int(i) for i in np.flatnonzero(self.best == rule) if i != rule]


@dataclass(frozen=True, eq=False)
class _Beliefs:
    """What is known of training samples, up to a whole word, and then of unlabelled ones."""

    probabilities: NDArray[np.float64]
    """[n_samples, n_labels] by the model; uniform where nothing is known."""
    truth: NDArray[np.int64]
    """As `kdsl.label_matrix` has labels: [n_samples], or [n_samples, n_labels]; −1 where there is none."""

    def one_against_rest(self, label: int) -> "_Beliefs":
        """The same of a label by itself, of several a sample: label 0 of two holds, or label 1, which is that it does
        not."""
        holds, truth = self.probabilities[:, label], self.truth[:, label]
        return _Beliefs(np.stack([holds, 1 - holds], axis=1), np.where(truth < 0, -1, 1 - truth))


_Key = tuple[int, Stamp | None, ModelPredictions | None, ModelPredictions | None]
"""What an overview was made of: the generation of rules, the statistics, and what the model says."""


class TaskIndex:
    """The samples of a task, and which rules hit which. Safe for threads."""

    def __init__(self, task: Task, training: SampleHits, unlabelled: SampleHits, statistics: Path) -> None:
        self.task = task
        self.training = training
        self.unlabelled = unlabelled
        self.samples, self.table, self.sample_position = training.samples, training.table, training.position
        self.bits, self.flags = training.bits, training.flags
        self.labels, self.having = training.labels, training.having
        self.likeness = Likeness(self.table)
        self.predictions: ModelPredictions | None = None
        """What the model says of training samples; None where it is not known."""
        self.no_predictions = ""
        """Why it is not known; empty while it is being found out."""
        self.refiner: Refiner | None = None
        """What knows variants of rules; None until its samples are prepared."""
        self.opinions: ModelPredictions | None = None
        """The same of unlabelled samples."""
        self.everything: StoredHits | None = None
        """All labelled samples, where `samples` are some of them; None until they are in columns on disk."""
        self.no_everything = ""
        """Why they cannot be; empty while they are being written."""
        self.problem = ""
        """Why the statistics cannot be read as they are now; those read before are used."""
        self._statistics_path = statistics
        self._statistics: tuple[Stamp | None, StatisticsByRule] = (None, {})
        self._mutex = threading.RLock()
        self._overview: tuple[_Key, Overview] | None = None
        self._agreed: tuple[ModelPredictions, Bitmap] | None = None
        self._believed: tuple[object, _Beliefs] | None = None
        self._of_label = np.stack([pack(self.having(label)) for label in range(len(task.labels))])

    def known(self, *conditions: Condition) -> Hits:
        """Where these can be looked for: among all labelled samples if it may be, else among those looked at."""
        if self.everything is not None and all(map(in_columns, conditions)):
            return self.everything
        return self.training

    def counts(self, overview: Overview, rule: int) -> tuple[int, int]:
        """Right hits and all hits of the rule at that position, on all labelled samples where they are known."""
        stored = overview.rules[rule]
        known = self.known(*stored.rule.conditions)
        if isinstance(known, StoredHits):
            return known.counts(stored, int(overview.labels[rule]))
        return int(overview.correct[rule]), int(overview.hits[rule])

    def sample(self, id: str) -> Sample | None:
        """The labelled sample with that id; None where there is none, or none is known yet."""
        for hits in (self.training, *(() if self.everything is None else (self.everything,))):
            at = hits.place(id)
            if at is not None:
                return hits.samples[at]
        return None

    def hit(self, stored: StoredRule, id: str) -> bool | None:
        """Whether the rule hits the labelled sample with that id; None where there is none."""
        for hits in (self.training, self.known(*stored.rule.conditions)):
            at = hits.place(id)
            if at is not None:
                return bool(contains(hits.bits(stored), at))
        return None

    def of_label(self, label: str) -> Bitmap:
        return self._of_label[self.task.label_names.index(label)] if label in self.task.label_names else self._nothing

    @property
    def _nothing(self) -> Bitmap:
        return np.zeros(self._of_label.shape[1], dtype=np.uint64)

    def overview(self, rules: Sequence[StoredRule], generation: int) -> Overview:
        """The counts of all `rules`, which are those of the store at its `generation`."""
        with self._mutex:
            statistics = self._read_statistics()
            key = (generation, self._statistics[0], self.predictions, self.opinions)
            if self._overview is None or self._overview[0] != key:
                changed = self._changed(rules, key)
                if self._overview is None or changed is None:
                    self._overview = key, self._count(rules, statistics)
                else:
                    self._overview = key, self._recount(self._overview[1], rules, statistics, changed)
            return self._overview[1]

    def _changed(self, rules: Sequence[StoredRule], key: _Key) -> list[int] | None:
        """Positions at which the rules are others than at the last count; None where too much is another."""
        if self._overview is None or self._overview[0][1:] != key[1:] or len(self._overview[1].rules) != len(rules):
            return None
        old = self._overview[1].rules
        changed = [i for i, stored in enumerate(rules) if stored is not old[i]]
        if len(changed) > FEW or any(rules[i].rule.id != old[i].rule.id for i in changed):
            return None
        return changed

    def _count(self, rules: Sequence[StoredRule], statistics: StatisticsByRule) -> Overview:
        index = {name: i for i, name in enumerate(self.task.label_names)}
        labels = np.array([index.get(stored.rule.label, -1) for stored in rules], dtype=np.int64)
        active = np.array([stored.rule.status in ACTIVE for stored in rules], dtype=bool)
        bits, unlabelled = self.training.bitmaps(rules), self.unlabelled.bitmaps(rules)
        entries = tuple(statistics.get((stored.rule.id, stored.when)) for stored in rules)
        hits, correct, disagree = self._counts(bits, labels)
        precision, value, best = self._values(rules, entries, labels, bits, unlabelled, correct)
        return Overview(
            rules=tuple(rules), statistics=entries, bits=bits, labels=labels, active=active, hits=hits,
            correct=correct, conflicts=self._conflicts(bits, labels, active), disagree=disagree,
            unlabelled=unlabelled, precision=precision, value=value, best=best,
            position={stored.rule.id: i for i, stored in enumerate(rules)},
        )  # fmt: skip

    def _recount(
        self, old: Overview, rules: Sequence[StoredRule], statistics: StatisticsByRule, changed: list[int]
    ) -> Overview:
        """The same as `_count` where only few rules, at positions `changed`, are others than in `old`."""
        few = self._count([rules[i] for i in changed], statistics)
        entries = list(old.statistics)
        for i, entry in zip(changed, few.statistics, strict=True):
            entries[i] = entry
        now = {}
        for name in ("bits", "unlabelled", "labels", "active", "hits", "correct", "disagree"):
            values, few_values = getattr(old, name), getattr(few, name)
            if not np.array_equal(values[changed], few_values):  # of a rule that is decided about most stay
                values = values.copy()
                values[changed] = few_values
            now[name] = values
        precision, value, best = old.precision.copy(), old.value.copy(), old.best.copy()
        near = np.flatnonzero(np.isin(now["labels"], [*old.labels[changed], *few.labels]))  # they may hit the same
        precision[near], value[near], places = self._values(
            [rules[i] for i in near.tolist()], [entries[i] for i in near.tolist()], now["labels"][near],
            now["bits"][near], now["unlabelled"][near], now["correct"][near],
        )  # fmt: skip
        best[near] = near[places]
        conflicts = old.conflicts
        # Accepting a proposed rule changes no conflict: both kinds speak.
        if any(now[name] is not getattr(old, name) for name in ("bits", "labels", "active")):
            # Conflicts begin and end on samples alone that a changed rule hits or did hit.
            words = np.flatnonzero(np.bitwise_or.reduce(old.bits[changed] | now["bits"][changed], axis=0))
            conflicts = (
                conflicts
                + self._conflicts(now["bits"][:, words], now["labels"], now["active"])
                - self._conflicts(old.bits[:, words], old.labels, old.active)
            )
        return Overview(
            rules=tuple(rules), statistics=tuple(entries), conflicts=conflicts, precision=precision, value=value,
            best=best, position=old.position, **now,
        )  # fmt: skip

    def _values(
        self, rules: Sequence[StoredRule], entries: Sequence[RuleStatistics | None], labels: NDArray[np.int64],
        bits: Bitmap, unlabelled: Bitmap, correct: Counts,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:  # fmt: skip
        """Precision, value of looking and best of twins of rules; they must be all for their labels."""
        hits = count(bits)
        estimate = (correct + 1) / (hits + 2)
        right, tried = np.zeros(len(rules), dtype=np.int64), np.zeros(len(rules), dtype=np.int64)
        for i, entry in enumerate(entries):
            if entry is not None and entry.reliability is not None:
                estimate[i] = entry.reliability
            if entry is not None and entry.held_out is not None:
                right[i], tried[i] = entry.held_out.correct, entry.held_out.hits
        precision, beliefs = Precision.of(estimate, right, tried), self._beliefs()
        everything = np.hstack([bits, unlabelled])
        accepted = np.array([stored.approved for stored in rules], dtype=bool)
        open_ = np.array([stored.open for stored in rules], dtype=bool)
        mean, value = np.empty(len(rules)), np.zeros(len(rules))
        for chosen, own, believed in self._questions(labels, beliefs):
            part = Precision(precision.a[chosen], precision.b[chosen])
            of, hit, known = own[chosen], everything[chosen], (believed.probabilities, believed.truth)
            if self.opinions is not None:
                part = part.heard(hit, of, *known)
            mean[chosen], value[chosen] = part.mean, value_of_looking(hit, of, part, *known, accepted[chosen])
        value = np.where(open_, value, 0.0)
        order = np.lexsort((-hits, -mean, -value)).tolist()
        return mean, value, best_of_twins(rules, labels, everything, open_, order)

    def _questions(
        self, labels: NDArray[np.int64], beliefs: _Beliefs
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], _Beliefs]]:
        """Rules [n_chosen] that may decide the same, the label of every rule among those that they decide about, and
        what is believed of these: all rules at once, or those of each label where a sample may have several."""
        if not self.task.multi:
            yield np.arange(len(labels)), labels, beliefs
            return
        for label in np.unique(labels).tolist():
            believed = beliefs.one_against_rest(max(label, 0))
            yield np.flatnonzero(labels == label), np.where(labels == label, min(label, 0), -1), believed

    def _beliefs(self) -> _Beliefs:
        """Of training and unlabelled samples, for bitmaps side by side."""
        made_of = self.predictions, self.opinions
        if self._believed is None or self._believed[0] != made_of:
            n_labels, padded = len(self.task.labels), 64 * self.training.words
            probabilities = np.full((padded + len(self.unlabelled.samples), n_labels), 1 / n_labels)
            truth = np.full((len(probabilities), *self.labels.shape[1:]), -1, dtype=np.int64)
            truth[: len(self.labels)] = self.labels
            if self.predictions is not None:
                probabilities[: len(self.labels)] = self.predictions.probabilities
            if self.opinions is not None:
                probabilities[padded:] = self.opinions.probabilities
            self._believed = made_of, _Beliefs(probabilities, truth)
        return self._believed[1]

    def _counts(self, bits: Bitmap, labels: NDArray[np.int64]) -> tuple[Counts, Counts, Counts]:
        """Hits, correct hits, and hits on which the model says another label."""
        hits = count(bits)
        correct = count(bits & np.vstack([self._of_label, self._nothing])[labels])
        if self.predictions is None:
            return hits, correct, np.zeros_like(hits)
        return hits, correct, hits - count(bits & self._agreeing(self.predictions)[labels])

    def _conflicts(self, bits: Bitmap, labels: NDArray[np.int64], active: NDArray[np.bool_]) -> Counts:
        """Hits that an active rule for another label hits too; none where a sample may have both labels."""
        if self.task.multi:
            return np.zeros(len(labels), dtype=np.int64)
        votes = np.zeros((len(self.task.labels) + 1, bits.shape[1]), dtype=np.uint64)
        for label in range(len(self.task.labels)):
            votes[label] = np.bitwise_or.reduce(bits[active & (labels == label)], axis=0, initial=0)
        others = np.zeros_like(votes)
        for label in range(len(votes)):
            others[label] = np.bitwise_or.reduce(np.delete(votes, label, axis=0), axis=0, initial=0)
        return count(bits & others[labels])

    def _agreeing(self, predictions: ModelPredictions) -> Bitmap:
        """For every label the samples on which the model does not say another: [n_labels + 1, n_words], none last."""
        if self._agreed is None or self._agreed[0] is not predictions:
            names = [*range(len(self.task.labels)), -1]
            self._agreed = predictions, np.stack([pack(~predictions.denies(label)) for label in names])
        return self._agreed[1]

    def _read_statistics(self) -> StatisticsByRule:
        stamp = stamp_of(self._statistics_path)
        if stamp != self._statistics[0]:
            try:
                self._statistics, self.problem = (stamp, read_statistics(self._statistics_path)), ""
            except KdslError as error:
                self._statistics, self.problem = (stamp, self._statistics[1]), error.in_commands()
        return self._statistics[1]
