"""How many samples of each label and fold every candidate condition holds on, all in one pass over their bitmaps."""

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, unpack
from kdsl.label_matrix import membership

_BLOCK = 1 << 25
"""Bits of conditions that are unpacked at the same time."""

Counts = NDArray[np.int32]


def label_counts(
    coverage: Bitmap, labels: NDArray[np.int64], n_labels: int, folds: NDArray[np.int64]
) -> tuple[Counts, Counts]:
    """The samples of each fold and label that conditions hold on: [n_folds, n_labels, n_conditions], and those of each
    fold whatever their label: [n_folds, n_conditions].

    `coverage` [n_conditions, n_words]; `labels` as `kdsl.label_matrix` has them; `folds` [n_samples] count from 0.
    """
    from scipy.sparse import csr_matrix, hstack

    n_samples, n_folds = len(labels), int(folds.max(initial=-1)) + 1
    of_label = csr_matrix(membership(labels, n_labels), dtype=np.int32)
    in_fold = csr_matrix(
        (np.ones(n_samples, dtype=np.int32), (np.arange(n_samples), folds)), shape=(n_samples, n_folds)
    )
    both = hstack([of_label.multiply(in_fold[:, [fold]]) for fold in range(n_folds)] + [in_fold], format="csr")
    result = np.zeros((both.shape[1], len(coverage)), dtype=np.int32)
    at_once = max(1, _BLOCK // max(n_samples, 1))
    for first in range(0, len(coverage), at_once):
        block = csr_matrix(unpack(coverage[first : first + at_once], n_samples), dtype=np.int32)
        result[:, first : first + at_once] = (block @ both).toarray().T
    split = n_folds * n_labels
    return result[:split].reshape(n_folds, n_labels, -1), result[split:]
