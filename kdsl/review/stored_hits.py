"""All labelled samples of a task on disk, and which of them rules hit: what `SampleHits` is in memory."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, Flags, count, pack
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import PIECE, FieldTable
from kdsl.label_matrix import has_label, label_array
from kdsl.review.finder import Finder, in_columns
from kdsl.review.sample_hits import engine_of
from kdsl.review.store import StoredRule
from kdsl.review.stored_samples import Shared, StoredSamples, samples_written
from kdsl.rules.condition import Condition
from kdsl.sample import Sample, Task

_FILE = "hits.bin"
_WORDS, _ORDER = PIECE // 64, np.dtype("<u8")
_MOST_KEPT = 512
"""Bitmaps of rules that were written since: 125 KB each on a million samples."""


@dataclass(frozen=True)
class Written:
    """What `write_hits` left in a folder, but for what lies there."""

    labels: NDArray[np.int64]
    """As `kdsl.label_matrix` has them: [n_samples], or [n_samples, n_labels]."""
    shared: Sequence[Shared]
    whens: Sequence[str]
    """Hashes of the conditions whose hits are known."""


def write_hits(
    folder: Path,
    task: Task,
    samples: Iterable[Sample],
    sidecars: Sidecars,
    conditions: Mapping[str, Sequence[Condition]],
) -> Written:
    """Write samples in columns, and what `conditions`, by their hashes, hold on, into a folder that is there.

    Conditions that look at more than texts and numbers are left out: looking at a million samples takes hours. A piece
    of the samples is in memory at a time. Raises KdslError where there is no room.
    """
    known = {when: each for when, each in conditions.items() if all(map(in_columns, each))}
    engine = engine_of(known)
    waiting, labels = iter(samples), [label_array([], task)]
    with samples_written(folder) as columns, (folder / _FILE).open("wb") as hits:
        while piece := list(islice(waiting, PIECE)):
            table = FieldTable(piece, sidecars)
            columns.write(table)
            labels.append(label_array(piece, task))
            bits = np.zeros((len(known), _WORDS), dtype=_ORDER)
            found = engine.bitmaps(table)
            bits[:, : found.shape[1]] = found
            hits.write(bits.tobytes())
    return Written(np.concatenate(labels), columns.shared, list(known))


class StoredHits:
    """Safe for threads."""

    def __init__(self, folder: Path, task: Task, written: Written, sidecars: Sidecars) -> None:
        """The folder may be taken away from then on: what is mapped stays."""
        self.samples = StoredSamples(folder, written.shared)
        self.labels = written.labels
        self._sidecars = sidecars
        self._of_label = np.stack([pack(self.having(label)) for label in range(-1, len(task.labels))])
        self._finder = Finder(self.samples.columns)
        # Read and not mapped: pages of a mapped file count as memory of this process once they were looked at.
        self._file = (folder / _FILE).open("rb")
        self._pieces = len(written.shared)
        self._whens = {when: i for i, when in enumerate(written.whens)}
        self._later: OrderedDict[str, Bitmap] = OrderedDict()
        self._mutex = threading.Lock()

    def having(self, label: int) -> Flags:
        """The samples that have a label, -1 being none of the task's: [n_samples]."""
        return has_label(self.labels, label) if label >= 0 else np.zeros(len(self.samples), dtype=bool)

    def place(self, id: str) -> int | None:
        """Where the sample with that id stands; None where there is none."""
        return self.samples.place(id)

    def rows(self, rows: Sequence[int]) -> FieldTable:
        """Some of the samples, by position."""
        return FieldTable([self.samples[row] for row in rows], self._sidecars)

    def bits(self, stored: StoredRule) -> Bitmap:
        """The samples that the rule, whose conditions must be `in_columns`, hits: uint64 [n_words]."""
        at = self._whens.get(stored.when)
        if at is not None:
            return self._read(at)
        with self._mutex:
            if stored.when not in self._later:
                self._later[stored.when] = pack(self.flags(stored.rule.conditions))
                if len(self._later) > _MOST_KEPT:
                    self._later.popitem(last=False)
            self._later.move_to_end(stored.when)
            return self._later[stored.when]

    def _read(self, at: int) -> Bitmap:
        """The bitmap of the conditions at a position of `Written.whens`."""
        size = _WORDS * _ORDER.itemsize
        places = ((piece * len(self._whens) + at) * size for piece in range(self._pieces))
        bits = np.frombuffer(b"".join(os.pread(self._file.fileno(), size, place) for place in places), dtype=_ORDER)
        return bits[: -(-len(self.samples) // 64)].astype(np.uint64)

    def counts(self, stored: StoredRule, label: int) -> tuple[int, int]:
        """How many samples the rule hits rightly, as it is for the label with that index, and how many in all."""
        bits = self.bits(stored)
        return int(count(bits & self._of_label[label + 1])), int(count(bits))

    def flags(self, conditions: Sequence[Condition]) -> Flags:
        """The samples that conditions, which must be `in_columns`, hold on: bool [n_samples]."""
        return self._finder.rule(conditions)
