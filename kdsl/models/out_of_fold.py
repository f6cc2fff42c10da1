"""Predictions on training samples by classifiers that never saw them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Trainer

OfFolds = Mapping[int, Trainer]
"""Fold → what trains without it."""


def out_of_fold(
    trainer: Trainer | OfFolds,
    table: FieldTable,
    labels: NDArray[np.int64],
    n_labels: int,
    folds: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Probabilities [n_samples, n_labels]; row i comes from a classifier trained on all folds but `folds[i]`.

    `folds` [n_samples] as `kdsl.data.splits.stratified_folds` makes them. `progress(done, total)` is called after each
    fold. Raises KdslError when the other folds of one of them hold nothing to learn from.
    """
    return out_of_fold_each([trainer], table, labels, n_labels, folds, progress)[0]


def out_of_fold_each(
    trainers: Sequence[Trainer | OfFolds],
    table: FieldTable,
    labels: NDArray[np.int64],
    n_labels: int,
    folds: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """`out_of_fold` of several, which all learn from one fold before the next: [n_trainers, n_samples, n_labels]."""
    result = np.empty((len(trainers), len(table), n_labels))
    names = np.unique(folds)
    for done, fold in enumerate(names, start=1):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        learned, asked = table.select(outside), table.select(inside)
        for part, trainer in enumerate(trainers):
            learner = trainer[int(fold)] if isinstance(trainer, Mapping) else trainer
            classifier = learner.fit(learned, labels[outside], n_labels)
            result[part, inside] = classifier.predict(asked).probabilities
        if progress is not None:
            progress(done, len(names))
    return result
