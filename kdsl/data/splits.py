"""Splits of a data set that keep the labels balanced, however rare they are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError

Labels = Sequence[int] | NDArray[np.int64]


def stratified_folds(labels: Labels, folds: int, seed: int) -> np.ndarray:
    """The fold, 0 to `folds` - 1, of every sample: int64 array of shape (len(labels),).

    The samples of any one label are spread so that two folds differ by at most one of them, and so are all samples
    together. A label with fewer samples than folds is missing from some. The same seed gives the same folds.
    Raises KdslError when there are fewer than two folds or fewer samples than folds.
    """
    values = np.asarray(labels, dtype=np.int64)
    if folds < 2:
        raise KdslError(f"{folds} folds: cross-validation needs at least 2")
    if len(values) < folds:
        raise KdslError(f"{len(values)} samples cannot be split into {folds} folds; use fewer folds or more samples")
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(values))
    by_label = shuffled[np.argsort(values[shuffled], kind="stable")]
    result = np.empty(len(values), dtype=np.int64)
    # Dealing out goes on across labels: starting each label at fold 0 would fill the first folds with all rare labels.
    result[by_label] = random.permutation(folds)[np.arange(len(values)) % folds]
    return result


def grouped_folds(labels: Labels, groups: Sequence[int], folds: int, seed: int) -> np.ndarray:
    """`stratified_folds` of the groups: samples of one group, such as the copies of a sample, are in one fold.

    A group has the label of its first sample. Raises KdslError when there are fewer groups than folds.
    """
    names, first, group_of = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # as they come, so that groups of one sample are folded like samples
    of_groups = np.empty(len(names), dtype=np.int64)
    of_groups[order] = stratified_folds(np.asarray(labels)[first[order]].tolist(), folds, seed)
    return of_groups[group_of]
