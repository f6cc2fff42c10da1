"""The pairs of labels that are confused most often, of a confusion matrix that is too large to be read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NONE = "(none)"
"""Stands for no prediction."""


@dataclass(frozen=True)
class ConfusedPair:
    """How many samples of one label are predicted as another one, or not at all."""

    truth: int
    """Index of the true label."""
    predicted: int
    """Of the predicted one; that of no prediction is the number of labels."""
    count: int
    share: float
    """Of the samples of the true label."""

    def names(self, labels: Sequence[str]) -> tuple[str, str]:
        return labels[self.truth], labels[self.predicted] if self.predicted < len(labels) else NONE


def confused_pairs(counts: NDArray[np.int64]) -> list[ConfusedPair]:
    """All pairs in which there are samples, most first; of equally many those with the larger share.

    `counts` is [n_labels, n_labels + 1] as `metrics.confusion` gives it.
    """
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    totals = np.maximum(counts.sum(axis=1), 1)
    pairs = [
        ConfusedPair(row, column, int(wrong[row, column]), float(wrong[row, column] / totals[row]))
        for row, column in np.argwhere(wrong).tolist()
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.predicted))
