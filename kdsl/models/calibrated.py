"""A trained classifier together with predictions on samples it never saw, which everything fitted on top needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier, Trainer
from kdsl.models.out_of_fold import OfFolds, out_of_fold


@dataclass(frozen=True)
class Calibrated:
    """A classifier, and what it or its like says about training samples that were kept from it."""

    classifier: Classifier
    probabilities: NDArray[np.float64]
    """[n_samples, n_labels]; uniform for samples that are not `unseen`."""
    unseen: NDArray[np.bool_]
    """[n_samples]"""


@runtime_checkable
class CalibratingTrainer(Protocol):
    """A trainer that is too costly to be run on every fold, and holds samples out itself."""

    def fit_calibrated(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Calibrated:
        """Arguments and errors as in `Trainer.fit`."""
        ...


def fit_calibrated(
    trainer: Trainer | CalibratingTrainer,
    table: FieldTable,
    labels: NDArray[np.int64],
    n_labels: int,
    folds: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
    of_folds: OfFolds | None = None,
) -> Calibrated:
    """Train on all samples, and predict them out of fold unless the trainer has its own way; see `out_of_fold`.

    `of_folds` train without a fold in place of a `trainer` that knows something about all samples.
    """
    if isinstance(trainer, CalibratingTrainer):
        return trainer.fit_calibrated(table, labels, n_labels)
    probabilities = out_of_fold(of_folds or trainer, table, labels, n_labels, folds, progress)
    return Calibrated(trainer.fit(table, labels, n_labels), probabilities, np.ones(len(table), dtype=bool))
