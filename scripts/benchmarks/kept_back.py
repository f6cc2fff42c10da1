"""Splits of the benchmark sets into samples to mine on and samples that mining never sees."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sets import DataSet, plain
from kdsl.data.splits import stratified_folds
from kdsl.fields.table import FieldTable
from kdsl.sample import label_indices

FOLDS = 5
"""Of a set without test samples one fold is kept back from everything, in turn."""


@dataclass(frozen=True)
class Split:
    """Samples to mine on, and those kept back."""

    data: DataSet
    train: FieldTable
    test: FieldTable


def splits(data: DataSet, test: Path | None, seed: int) -> list[Split]:
    """One split where there is a file of test samples, whose strange labels are left out; else one a fold."""
    if test is not None:
        known = [sample for sample in plain(test, data.task.name).samples if sample.label in data.task.label_names]
        return [Split(data, FieldTable(data.samples, data.sidecars), FieldTable(known, data.sidecars))]
    table = FieldTable(data.samples, data.sidecars)
    folds = stratified_folds(np.array(label_indices(data.samples, data.task)), FOLDS, seed)
    return [
        Split(data, table.select(np.flatnonzero(folds != fold)), table.select(np.flatnonzero(folds == fold)))
        for fold in range(FOLDS)
    ]
