"""What every classifier does: learn from labelled samples, give each label a probability, be saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.vlm.usage import Cost


@dataclass(frozen=True)
class Predicted:
    """All that a classifier says about the rows of a table, row by row."""

    probabilities: NDArray[np.float64]
    """[n_samples, n_labels], labels in the order of the task; every value is above 0 and every row sums to 1."""
    answered: NDArray[np.bool_] | None = None
    """[n_samples]: False where a model that answers with a label gave none, so that the row holds the labels' shares
    in training; None where that cannot be."""
    costs: Sequence[Cost] | None = None
    """[n_samples]: what each sample has cost so far, with questions about its images; None where no model is asked."""
    reasons: Sequence[str] | None = None
    """[n_samples]: what a model wrote before its label; None where it writes none."""


class Classifier(Protocol):
    """A trained classifier of one task."""

    def predict(self, table: FieldTable) -> Predicted:
        """One row for each row of `table`, in its order."""
        ...

    def save(self, folder: Path) -> None:
        """Write what prediction needs into `folder`, atomically; KdslError when it cannot be written."""
        ...


@runtime_checkable
class Encoding(Protocol):
    """A classifier that goes by sentence vectors."""

    def encoded(self, table: FieldTable) -> list[str]:
        """The texts whose vectors `predict` asks for."""
        ...


class Trainer(Protocol):
    """Makes a classifier from labelled samples."""

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Classifier:
        """Learn from rows of `table` with `labels` [n_samples], indices into the task's labels, all at least 0.

        Raises KdslError when there is nothing to learn from.
        """
        ...
