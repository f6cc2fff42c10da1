"""Rules mined on all samples beside rules mined on samples of several sizes, judged on samples that neither saw.

Dialogues of the demo's maker, and files with `text` and `label` (as many as are given). Of each set a part is kept and
never mined on. Of every size: rules; how many of them are those of all samples to the letter; whether they hit the
same kept samples (share of all that either says something right about, Jaccard); precision and coverage there; and how
far the reliability that mining states is from the precision on kept samples (mean over rules, weighted by hits).
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.scale_data import TASK, records
from benchmarks.sets import DataSet, plain
from kdsl.arbiter.evidence import rule_labels
from kdsl.data.splits import stratified_folds, stratified_sample
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import candidate_rules, mined_rules
from kdsl.project.mining import counting_rest, search
from kdsl.project.task import TaskProject, left_over
from kdsl.rules.engine import Engine
from kdsl.sample import Label, Sample, Task, Turn, label_indices

KEPT = 5
"""One of so many samples is kept."""
COLUMNS = ("samples", "seconds", "rules", "the same", "Jaccard", "precision", "coverage", "reliability off by")


@dataclass(frozen=True)
class Mined:
    """What mining so many of the samples gave, on the kept ones."""

    samples: int
    seconds: float
    keys: set[tuple[str, str]]
    right: NDArray[np.bool_]
    """Of the kept samples those that a rule of their label hits: [n_samples]."""
    precision: float
    coverage: float
    off: float

    def row(self, every: "Mined") -> list[str]:
        union = (self.right | every.right).sum()
        return [
            f"{self.samples:,}",
            f"{self.seconds:.0f}",
            str(len(self.keys)),
            str(len(self.keys & every.keys)),
            f"{(self.right & every.right).sum() / max(union, 1):.3f}",
            f"{100 * self.precision:.2f} %",
            f"{100 * self.coverage:.2f} %",
            f"{100 * self.off:.1f} points",
        ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench sampled_mining", description=__doc__)
    parser.add_argument("sets", type=Path, nargs="*", help="files of JSON Lines with text and label")
    parser.add_argument("--dialogues", type=int, default=100_000, help="made dialogues; 0: none (default 100,000)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000, 50_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    sets = [plain(path, path.parent.name) for path in options.sets]
    if options.dialogues:
        sets.insert(0, _dialogues(options.dialogues))
    for data in sets:
        table = Table(
            title=f"{data.task.name}, {len(data.samples):,} samples, one in {KEPT} kept", title_justify="left"
        )
        for column in COLUMNS:
            table.add_column(column, justify="right")
        for row in _rows(data, options.sizes, options.seed, options.workers):
            table.add_row(*row)
        Console(width=120).print(table)
    return 0


def _dialogues(count: int) -> DataSet:
    samples = [
        Sample(
            str(record["id"]),
            TASK,
            tuple(Turn(turn["role"], turn["text"]) for turn in record["turns"]),  # type: ignore[attr-defined]
            label=str(record["label"]),
        )
        for record in islice(records(count, 0), count)
    ]
    names = sorted({str(sample.label) for sample in samples})
    return DataSet(Task(TASK, tuple(map(Label, names))), samples, Sidecars())


def _rows(data: DataSet, sizes: Sequence[int], seed: int, workers: int) -> list[list[str]]:
    labels = np.array(label_indices(data.samples, data.task), dtype=np.int64)
    kept = stratified_folds(labels, KEPT, seed) == 0
    learned = [data.samples[row] for row in np.flatnonzero(~kept)]
    judged = [data.samples[row] for row in np.flatnonzero(kept)]
    found = [
        _mined(data, learned, labels[~kept], judged, labels[kept], most, seed, workers)
        for most in [*(size for size in sorted(sizes) if size < len(learned)), len(learned)]
    ]
    return [each.row(found[-1]) for each in found]


def _mined(
    data: DataSet,
    learned: list[Sample],
    labels: NDArray[np.int64],
    judged: list[Sample],
    truth: NDArray[np.int64],
    most: int,
    seed: int,
    workers: int,
) -> Mined:
    begun = time.monotonic()
    rows = stratified_sample([sample.id for sample in learned], labels, most, seed)
    own = TaskProject(
        data.task,
        FieldTable([learned[row] for row in rows], data.sidecars),
        labels[rows],
        seed=seed,
        rest=left_over(learned, rows),
    )
    mined = search(own, workers=workers)
    counting = counting_rest(own, workers)
    beyond = None if counting is None else counting(candidate_rules(mined, "", seed))
    rules, statistics = mined_rules(mined, "", seed, beyond)
    seconds = time.monotonic() - begun
    hits = Engine(rules).matrix(FieldTable(judged, data.sidecars))
    right = hits & (truth[:, None] == rule_labels(data.task, rules))
    n_hits, n_right = hits.sum(axis=0), right.sum(axis=0)
    reliability = np.array([entry.reliability or 0.0 for entry in statistics])
    off = np.abs(reliability - n_right / np.maximum(n_hits, 1))
    print(f"  {data.task.name}: {len(rows):,} samples, {seconds:.0f} s", flush=True)
    return Mined(
        len(rows),
        seconds,
        {(rule.label, rule.when_hash) for rule in rules},
        right.any(axis=1),
        float(n_right.sum() / max(n_hits.sum(), 1)),
        float(hits.any(axis=1).mean()),
        float((off * n_hits).sum() / max(n_hits.sum(), 1)),
    )
