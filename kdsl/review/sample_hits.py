"""Samples of a task, and which of them each rule hits; bitmaps are kept while conditions stay the same."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.bitmaps import Bitmap, Flags, pack
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import has_label, label_array
from kdsl.review.finder import Columns, Finder
from kdsl.review.store import StoredRule
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Task

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
        return cls(Columns.of(table), list(conditions), engine_of(conditions).bitmaps(table))


def engine_of(conditions: Mapping[str, Sequence[Condition]]) -> Engine:
    """What decides conditions, in their order; whose labels they are for does not matter."""
    return Engine([Rule(id="r-0000", label="", when=When(all=tuple(each))) for each in conditions.values()])


class SampleHits:
    """Safe for threads."""

    def __init__(self, task: Task, samples: Sequence[Sample], sidecars: Sidecars, counted: Counted) -> None:
        """`counted` is what was counted on these samples."""
        self.samples = tuple(samples)
        self.labels = label_array(self.samples, task)
        """As `kdsl.label_matrix` has them."""
        self.table = FieldTable(samples, sidecars)
        self.finder = Finder(counted.columns, self.table)
        self.position = {sample.id: index for index, sample in enumerate(self.samples)}
        self._known: dict[str, Bitmap] = dict(zip(counted.whens, counted.bits, strict=True))
        self._mutex = threading.RLock()

    def place(self, id: str, fingerprint: str | None = None) -> int | None:
        """Where the sample with that id stands; None where there is none, or with another fingerprint."""
        at = self.position.get(id)
        return at if at is not None and fingerprint in (None, self.samples[at].fingerprint) else None

    def having(self, label: int) -> Flags:
        """The samples that have a label, -1 being none of the task's: [n_samples]."""
        return has_label(self.labels, label) if label >= 0 else np.zeros(len(self.samples), dtype=bool)

    def rows(self, rows: Sequence[int]) -> FieldTable:
        """Some of the samples, by position."""
        return self.table.select(rows)

    @property
    def words(self) -> int:
        """Of a bitmap."""
        return -(-len(self.samples) // 64)

    def bits(self, stored: StoredRule) -> Bitmap:
        """The samples that the rule hits: uint64 [n_words]."""
        with self._mutex:
            if stored.when not in self._known:
                self._known[stored.when] = pack(self.finder.rule(stored.rule.conditions))
            return self._known[stored.when]

    def flags(self, conditions: Sequence[Condition]) -> Flags:
        """The samples that conditions hold on: bool [n_samples]."""
        return self.finder.rule(conditions)

    def bitmaps(self, rules: Sequence[StoredRule]) -> Bitmap:
        """The samples that each rule hits: uint64 [n_rules, n_words]."""
        with self._mutex:
            self._fill(rules)
            bits = np.empty((len(rules), self.words), dtype=np.uint64)
            for i, stored in enumerate(rules):  # np.stack of thousands holds up all other threads
                bits[i] = self._known[stored.when]
            return bits

    def _fill(self, rules: Sequence[StoredRule]) -> None:
        missing = {stored.when: stored for stored in rules if stored.when not in self._known}
        if len(missing) <= FEW:
            for stored in missing.values():
                self.bits(stored)
            return
        engine = Engine([stored.rule for stored in missing.values()])
        self._known.update(zip(missing, engine.bitmaps(self.table), strict=True))
