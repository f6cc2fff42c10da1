"""Splits of a data set that keep the labels balanced, however rare they are."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError

Labels = Sequence[int] | NDArray[np.int64]

FEWEST = 100
"""Samples of a rare label that are drawn of many, if there are so many: fewer teach nothing."""


def stratified_folds(labels: Labels, folds: int, seed: int) -> np.ndarray:
    """The fold, 0 to `folds` - 1, of every sample: int64 array of shape (len(labels),).

    `labels` are [n_samples], or [n_samples, n_labels] of a task with several a sample (`kdsl.label_matrix`): see
    `_several_labels`.

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
    if values.ndim == 2:
        return _several_labels(values == 1, folds, random)
    shuffled = random.permutation(len(values))
    by_label = shuffled[np.argsort(values[shuffled], kind="stable")]
    result = np.empty(len(values), dtype=np.int64)
    # Dealing out goes on across labels: starting each label at fold 0 would fill the first folds with all rare labels.
    result[by_label] = random.permutation(folds)[np.arange(len(values)) % folds]
    return result


def stratified_sample(ids: Sequence[str], labels: Labels, most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` of the samples, by rows in their order: of each label its share, but no fewer than `FEWEST`.

    Which ones says a hash of seed and id, so that the same are chosen in whatever order they come, and nearly the same
    when some are added. Of samples with several labels each set of labels counts as one. Where `FEWEST` of each label
    or set would be more than half of all, it is fewer of each.

    Largest remainders: each label gets the whole part of its share, and what is left goes to those that lack most.
    """
    values = np.asarray(labels, dtype=np.int64)
    if len(values) <= most:
        return np.arange(len(values))
    _, stratum, sizes = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    stratum = stratum.reshape(-1)
    wanted = _allotted(sizes, most)
    key = str(seed).encode()[:64]
    hashes = (blake2b(id.encode("utf-8", "replace"), digest_size=8, key=key).digest() for id in ids)
    drawn = np.frombuffer(b"".join(hashes), dtype="<u8")
    order = np.lexsort((drawn, stratum))
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < wanted[stratum[order]]])


def _allotted(sizes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How many of each stratum are drawn, `most` together."""
    least = np.minimum(sizes, min(FEWEST, most // (2 * len(sizes))))
    rare = np.zeros(len(sizes), dtype=bool)
    while True:  # what rare ones get more than their share, the others get less
        shares = sizes * ((most - least[rare].sum()) / sizes[~rare].sum())
        more = ~rare & (shares < least)
        if not more.any():
            break
        rare |= more
    wanted = np.where(rare, least, np.floor(shares)).astype(np.int64)
    lacking = np.argsort(np.where(rare, 0, wanted - shares), kind="stable")[: most - int(wanted.sum())]
    wanted[lacking] += 1
    return wanted


def _several_labels(labels: NDArray[np.bool_], folds: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011): the samples of the label with fewest left are
    dealt out first, each to the fold that lacks most of that label, of equals to the one that lacks most samples.

    The number of samples in two folds may differ by a few.
    """
    result = np.full(len(labels), -1, dtype=np.int64)
    lacking = np.tile(labels.sum(axis=0) / folds, (folds, 1))  # [folds, n_labels]
    room = np.full(folds, len(labels) / folds)
    order = random.permutation(len(labels))
    ties = random.permutation(folds)

    def deal(row: int, wanted: NDArray[np.float64]) -> None:
        fold = int(np.lexsort((ties, -room, -wanted))[0])
        result[row] = fold
        lacking[fold] -= labels[row]
        room[fold] -= 1

    while (left := labels[result < 0].sum(axis=0)).any():
        rarest = int(np.where(left > 0, left, len(labels) + 1).argmin())
        for row in order[(result[order] < 0) & labels[order, rarest]].tolist():
            deal(row, lacking[:, rarest])
    for row in order[result[order] < 0].tolist():
        deal(row, room)
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
