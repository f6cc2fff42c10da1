"""What the rules of one task do on the training samples: bitmaps, kept while conditions stay the same, and counts."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, count, pack
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.files import Stamp, stamp_of
from kdsl.project.refining import Refiner
from kdsl.review.alike import Likeness
from kdsl.review.finder import Columns, Finder
from kdsl.review.model_predictions import ModelPredictions
from kdsl.review.store import StoredRule
from kdsl.review.value_of_looking import new_hits, value_of_looking
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.rules.rulebase import ACTIVE
from kdsl.rules.statistics import RuleStatistics, StatisticsByRule, read_statistics
from kdsl.sample import Sample, Task, label_indices

Counts = NDArray[np.int64]
FEW = 20
"""Up to so many new rules are quicker found one by one."""


@dataclass(frozen=True, eq=False)
class Counted:
    """What takes long to find out about the samples of a task."""

    columns: Columns
    whens: Sequence[str]
    """Hashes of conditions."""
    bits: Bitmap
    """[n_whens, n_words]: the samples that the conditions hold on."""

    @classmethod
    def of(cls, table: FieldTable, conditions: Mapping[str, Sequence[Condition]]) -> "Counted":
        """`conditions` by their hashes."""
        rules = [Rule(id="r-0000", label="", when=When(all=tuple(each))) for each in conditions.values()]
        return cls(Columns.of(table), list(conditions), Engine(rules).bitmaps(table))


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
    value: NDArray[np.float64]
    """Expected number of samples decided better if somebody looked at the rule."""
    position: dict[str, int]


class TaskIndex:
    """The training samples of a task, and which rules hit which. Safe for threads."""

    def __init__(
        self, task: Task, samples: Sequence[Sample], sidecars: Sidecars, statistics: Path, counted: Counted
    ) -> None:
        """`counted` is what was counted on these samples."""
        self.task = task
        self.samples = tuple(samples)
        self.table = FieldTable(samples, sidecars)
        self.labels = np.array(label_indices(samples, task), dtype=np.int64)
        self.finder = Finder(self.table, counted.columns)
        self.likeness = Likeness(self.table)
        self.predictions: ModelPredictions | None = None
        """What the model says; None where it is not known."""
        self.no_predictions = ""
        """Why it is not known; empty while it is being found out."""
        self.refiner: Refiner | None = None
        """What knows variants of rules; None until its samples are prepared."""
        self.problem = ""
        """Why the statistics cannot be read as they are now; those read before are used."""
        self._statistics_path = statistics
        self._statistics: tuple[Stamp | None, StatisticsByRule] = (None, {})
        self._known: dict[str, Bitmap] = dict(zip(counted.whens, counted.bits, strict=True))
        self._mutex = threading.RLock()
        self._overview: tuple[tuple[int, object, ModelPredictions | None], Overview] | None = None
        self._agreed: tuple[ModelPredictions, Bitmap] | None = None
        self._of_label = np.stack([pack(self.labels == label) for label in range(len(task.labels))])
        self.sample_position = {sample.id: index for index, sample in enumerate(self.samples)}

    def bits(self, stored: StoredRule) -> Bitmap:
        """The samples that the rule hits: uint64 [n_words]."""
        with self._mutex:
            if stored.when not in self._known:
                self._known[stored.when] = pack(self.finder.rule(stored.rule.conditions))
            return self._known[stored.when]

    def flags(self, conditions: Sequence[Condition]) -> NDArray[np.bool_]:
        """The samples that conditions hold on: bool [n_samples]."""
        return self.finder.rule(conditions)

    def of_label(self, label: str) -> Bitmap:
        return self._of_label[self.task.label_names.index(label)] if label in self.task.label_names else self._nothing

    @property
    def _nothing(self) -> Bitmap:
        return np.zeros(self._of_label.shape[1], dtype=np.uint64)

    def overview(self, rules: Sequence[StoredRule], generation: int) -> Overview:
        """The counts of all `rules`, which are those of the store at its `generation`."""
        with self._mutex:
            statistics = self._read_statistics()
            key = (generation, self._statistics[0], self.predictions)
            if self._overview is None or self._overview[0] != key:
                changed = self._changed(rules, key)
                if self._overview is None or changed is None:
                    self._overview = key, self._count(rules, statistics)
                else:
                    self._overview = key, self._recount(self._overview[1], rules, statistics, changed)
            return self._overview[1]

    def _changed(
        self, rules: Sequence[StoredRule], key: tuple[int, object, ModelPredictions | None]
    ) -> list[int] | None:
        """Positions at which the rules are others than at the last count; None where too much is another."""
        if self._overview is None or self._overview[0][1:] != key[1:] or len(self._overview[1].rules) != len(rules):
            return None
        old = self._overview[1].rules
        changed = [i for i, stored in enumerate(rules) if stored is not old[i]]
        if len(changed) > FEW or any(rules[i].rule.id != old[i].rule.id for i in changed):
            return None
        return changed

    def _count(self, rules: Sequence[StoredRule], statistics: StatisticsByRule) -> Overview:
        self._fill(rules)
        index = {name: i for i, name in enumerate(self.task.label_names)}
        labels = np.array([index.get(stored.rule.label, -1) for stored in rules], dtype=np.int64)
        active = np.array([stored.rule.status in ACTIVE for stored in rules], dtype=bool)
        bits = np.empty((len(rules), self._of_label.shape[1]), dtype=np.uint64)
        for i, stored in enumerate(rules):  # np.stack of thousands holds up all other threads
            bits[i] = self._known[stored.when]
        entries = tuple(statistics.get((stored.rule.id, stored.when)) for stored in rules)
        hits, correct, disagree = self._counts(bits, labels)
        return Overview(
            rules=tuple(rules), statistics=entries, bits=bits, labels=labels, active=active, hits=hits,
            correct=correct, conflicts=self._conflicts(bits, labels, active), disagree=disagree,
            value=value_of_looking(rules, entries, hits, correct, new_hits(rules, bits, labels)),
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
        bits, labels, active, hits = old.bits.copy(), old.labels.copy(), old.active.copy(), old.hits.copy()
        correct, disagree, value = old.correct.copy(), old.disagree.copy(), old.value.copy()
        bits[changed], labels[changed], active[changed], hits[changed] = few.bits, few.labels, few.active, few.hits
        correct[changed], disagree[changed] = few.correct, few.disagree
        near = np.flatnonzero(np.isin(labels, [*old.labels[changed], *few.labels])).tolist()  # they may hit the same
        value[near] = value_of_looking(
            [rules[i] for i in near],
            [entries[i] for i in near],
            hits[near],
            correct[near],
            new_hits([rules[i] for i in near], bits[near], labels[near]),
        )
        # Accepting a proposed rule changes no conflict: both kinds speak.
        same = all(
            np.array_equal(getattr(old, name)[changed], getattr(few, name)) for name in ("bits", "labels", "active")
        )
        return Overview(
            rules=tuple(rules), statistics=tuple(entries), bits=bits, labels=labels, active=active, hits=hits,
            correct=correct, conflicts=old.conflicts if same else self._conflicts(bits, labels, active),
            disagree=disagree, value=value, position=old.position,
        )  # fmt: skip

    def _counts(self, bits: Bitmap, labels: NDArray[np.int64]) -> tuple[Counts, Counts, Counts]:
        """Hits, correct hits, and hits on which the model says another label."""
        hits = count(bits)
        correct = count(bits & np.vstack([self._of_label, self._nothing])[labels])
        if self.predictions is None:
            return hits, correct, np.zeros_like(hits)
        return hits, correct, hits - count(bits & self._agreeing(self.predictions)[labels])

    def _conflicts(self, bits: Bitmap, labels: NDArray[np.int64], active: NDArray[np.bool_]) -> Counts:
        """Hits that an active rule for another label hits too."""
        votes = np.vstack([np.zeros_like(self._of_label), self._nothing])
        for label in range(len(self.task.labels)):
            votes[label] = np.bitwise_or.reduce(bits[active & (labels == label)], axis=0, initial=0)
        others = np.zeros_like(votes)
        for label in range(len(votes)):
            others[label] = np.bitwise_or.reduce(np.delete(votes, label, axis=0), axis=0, initial=0)
        return count(bits & others[labels])

    def _agreeing(self, predictions: ModelPredictions) -> Bitmap:
        """For every label the samples on which the model does not say another: [n_labels + 1, n_words], none last."""
        if self._agreed is None or self._agreed[0] is not predictions:
            unknown = predictions.said < 0
            names = [*range(len(self.task.labels)), -1]
            self._agreed = predictions, np.stack([pack((predictions.said == label) | unknown) for label in names])
        return self._agreed[1]

    def _fill(self, rules: Sequence[StoredRule]) -> None:
        missing = {stored.when: stored for stored in rules if stored.when not in self._known}
        if len(missing) <= FEW:
            for stored in missing.values():
                self.bits(stored)
            return
        engine = Engine([stored.rule for stored in missing.values()])
        self._known.update(zip(missing, engine.bitmaps(self.table), strict=True))

    def _read_statistics(self) -> StatisticsByRule:
        stamp = stamp_of(self._statistics_path)
        if stamp != self._statistics[0]:
            try:
                self._statistics, self.problem = (stamp, read_statistics(self._statistics_path)), ""
            except KdslError as error:
                self._statistics, self.problem = (stamp, self._statistics[1]), error.in_commands()
        return self._statistics[1]
