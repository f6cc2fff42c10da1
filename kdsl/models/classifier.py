"""What every classifier does: learn from labelled samples, give each label a probability, be saved."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable


class Classifier(Protocol):
    """A trained classifier of one task."""

    def probabilities(self, table: FieldTable) -> NDArray[np.float64]:
        """[n_samples, n_labels], labels in the order of the task; every value is above 0 and every row sums to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write what prediction needs into `folder`, atomically; KdslError when it cannot be written."""
        ...


class Trainer(Protocol):
    """Makes a classifier from labelled samples."""

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Classifier:
        """Learn from rows of `table` with `labels` [n_samples], indices into the task's labels, all at least 0.

        Raises KdslError when there is nothing to learn from.
        """
        ...
