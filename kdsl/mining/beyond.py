"""What rules do on the samples that were not searched: counted on all of them, in pieces, in several processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kdsl.bitmaps import count, pack
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import PIECE, FieldTable
from kdsl.label_matrix import has_label, label_array, label_counts
from kdsl.processes import ignore_interrupts, worker_pool
from kdsl.progress import Progress, track
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.sample import Sample, Task

_Counted = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Beyond:
    """The counts of rules on samples that none of them was found on."""

    samples: int = 0
    positives: dict[str, int] = field(default_factory=dict)
    """Label → the samples that have it."""
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(label, hash of the conditions) → hits, and right ones among them."""


def count_beyond(
    task: Task,
    rules: Sequence[Rule],
    samples: Sequence[Sample],
    sidecars: Sidecars,
    workers: int,
    progress: Progress | None = None,
) -> Beyond:
    """Count `rules` on `samples`, of which no more than a few thousand are looked at together.

    In `workers` processes where texts are all that is looked at; vectors and pictures stay in this one.
    """
    distinct = list({(rule.label, rule.when_hash): rule for rule in rules}.values())
    pieces = [samples[first : first + PIECE] for first in range(0, len(samples), PIECE)]
    hits = np.zeros(len(distinct), dtype=np.int64)
    correct, positives = np.zeros_like(hits), np.zeros(len(task.labels), dtype=np.int64)
    found = _counted(task, distinct, pieces, sidecars, workers)
    for of_piece in track(found, f"{task.name}: counting rules on all samples", len(pieces), progress):
        hits, correct, positives = hits + of_piece[0], correct + of_piece[1], positives + of_piece[2]
    keys = [(rule.label, rule.when_hash) for rule in distinct]
    counts = dict(zip(keys, zip(hits.tolist(), correct.tolist(), strict=True), strict=True))
    return Beyond(len(samples), dict(zip(task.label_names, positives.tolist(), strict=True)), counts)


def _counted(
    task: Task, rules: Sequence[Rule], pieces: Sequence[Sequence[Sample]], sidecars: Sidecars, workers: int
) -> Iterator[_Counted]:
    if workers < 2 or len(pieces) < 2 or sidecars.vectors is not None or sidecars.pictures is not None:
        counter = _Counter(task, rules, sidecars)
        yield from map(counter.count, pieces)
        return
    with worker_pool(min(workers, len(pieces)), _start, (task, rules, sidecars)) as pool:
        yield from pool.map(_count, pieces)


class _Counter:
    def __init__(self, task: Task, rules: Sequence[Rule], sidecars: Sidecars) -> None:
        self._task, self._sidecars = task, sidecars
        self._engine = Engine(rules)
        names = task.label_names
        self._labels = [names.index(rule.label) if rule.label in names else -1 for rule in rules]

    def count(self, samples: Sequence[Sample]) -> _Counted:
        """Hits and right hits of every rule, and the samples of every label."""
        labels = label_array(samples, self._task)
        bits = self._engine.bitmaps(FieldTable(samples, self._sidecars))
        having = {label: pack(has_label(labels, label)) for label in set(self._labels) if label >= 0}
        right = [
            0 if label < 0 else int(count(of_rule & having[label]))
            for of_rule, label in zip(bits, self._labels, strict=True)
        ]
        return count(bits), np.array(right, dtype=np.int64), label_counts(labels, len(self._task.labels))


_counter: _Counter
"""Of a worker process."""


def _start(task: Task, rules: Sequence[Rule], sidecars: Sidecars) -> None:
    global _counter
    ignore_interrupts()
    _counter = _Counter(task, rules, sidecars)


def _count(samples: Sequence[Sample]) -> _Counted:
    return _counter.count(samples)
