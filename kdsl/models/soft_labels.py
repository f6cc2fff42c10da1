"""Samples that a teacher or rules labelled, which a classifier learns from besides those that people labelled."""

from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.models.linear import LinearClassifier, LinearTrainer
from kdsl.sample import original_rows

SOFT_LABEL_WEIGHT = 0.2
"""What a teacher's sample counts against one that people labelled: docs/reasons.md."""
LARGEST_BALANCE = 3.0
"""Samples of labels that are rare among the teacher's count at most so many times that."""


@dataclass(frozen=True)
class SoftLabels:
    """Samples of one task, none of them like one that people labelled."""

    table: FieldTable
    shares: NDArray[np.float64]
    """[n_samples, n_labels]: how probable each label is; rows sum to 1."""
    weight: float = SOFT_LABEL_WEIGHT
    """What one of them counts against one that people labelled."""

    def __len__(self) -> int:
        return len(self.table)

    def cleaned(self) -> "SoftLabels":
        """The same samples as they read on cleaned OCR pages."""
        return replace(self, table=self.table.cleaned())

    def select(self, rows: NDArray[np.int64]) -> "SoftLabels":
        return replace(self, table=self.table.select(rows), shares=self.shares[rows])


@runtime_checkable
class SoftLabelLearner(Protocol):
    """A trainer that can learn from a teacher's samples besides."""

    def with_soft_labels(self, soft_labels: SoftLabels) -> Self:
        """The same trainer with these samples; KdslError where it has no part that can learn from them."""
        ...


@dataclass(frozen=True)
class SoftLabelTrainer:
    """Learns from a teacher's samples beside those it is given. Implements `Trainer`."""

    trainer: LinearTrainer
    soft_labels: SoftLabels

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> LinearClassifier:
        """See `Trainer.fit`."""
        if not len(self.soft_labels):
            return self.trainer.fit(table, labels, n_labels)
        own = np.eye(n_labels)[labels]
        shares = np.concatenate([own, self.soft_labels.shares])
        # With changed copies one of people's samples counts once and again for each: a teacher's keeps its share.
        copied = len(table) / len(set(original_rows([row.sample for row in table.rows])))
        weight = self.soft_labels.weight * copied
        weights = np.concatenate([np.ones(len(table)), weight * _balance(own, self.soft_labels.shares)])
        return self.trainer.fit_shares(table.joined(self.soft_labels.table), shares, weights)


def _balance(own: NDArray[np.float64], soft_labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n_soft]: weights that give the teacher's samples people's shares of labels, as far as `LARGEST_BALANCE` allows.

    What three agree on is mostly of the labels that are easy, so that without this the others would be unlearned.
    """
    ratios = own.mean(axis=0) / np.maximum(soft_labels.mean(axis=0), 1e-9)
    return np.minimum(soft_labels @ np.minimum(ratios, LARGEST_BALANCE), LARGEST_BALANCE)
