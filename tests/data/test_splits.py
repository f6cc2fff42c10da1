"""Stratified folds: balanced for every label, rare ones included, and repeatable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.splits import grouped_folds, stratified_folds
from kdsl.errors import KdslError


@given(st.lists(st.integers(-1, 6), min_size=10, max_size=80), st.integers(2, 10), st.integers(0, 5))
def test_folds_differ_by_at_most_one_sample_of_any_label_and_of_all(labels, folds, seed):
    assigned = stratified_folds(labels, folds, seed)
    for chosen in [np.ones(len(labels), bool), *(np.asarray(labels) == label for label in set(labels))]:
        counts = np.bincount(assigned[chosen], minlength=folds)
        assert len(counts) == folds
        assert counts.max() - counts.min() <= 1


def test_the_seed_alone_decides():
    labels = [0] * 20 + [1] * 5 + [2]
    assert (stratified_folds(labels, 4, 3) == stratified_folds(labels, 4, 3)).all()
    assert (stratified_folds(labels, 4, 3) != stratified_folds(labels, 4, 4)).any()


def test_a_label_with_one_sample_is_in_one_fold():
    assigned = stratified_folds([0, 0, 0, 0, 1], 2, 0)
    assert assigned.shape == (5,)
    assert set(assigned) == {0, 1}


@pytest.mark.parametrize(
    ("labels", "folds", "message"),
    [
        ([0, 1, 0], 1, "1 folds: cross-validation needs at least 2"),
        ([0, 1], 3, "2 samples cannot be split into 3 folds"),
    ],
)
def test_impossible_splits_are_refused(labels, folds, message):
    with pytest.raises(KdslError, match=message):
        stratified_folds(labels, folds, 0)


def test_groups_are_never_cut_and_single_samples_are_folded_as_ever():
    labels = [i % 3 for i in range(30)]
    alone = grouped_folds(labels, range(30), 5, seed=1)
    assert alone.tolist() == stratified_folds(labels, 5, seed=1).tolist()
    groups = [i // 3 for i in range(30)]
    folds = grouped_folds([i // 3 % 2 for i in range(30)], groups, 5, seed=1)
    assert all(len(set(folds[i : i + 3])) == 1 for i in range(0, 30, 3))
    assert np.bincount(folds).tolist() == [6] * 5
    with pytest.raises(KdslError, match="2 samples cannot be split into 5 folds"):
        grouped_folds([0] * 6, [7, 2] * 3, 5, seed=1)


@given(st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=12, max_size=60), st.integers(2, 5))
def test_samples_with_several_labels_are_spread_label_by_label(rows, folds):
    labels = np.array(rows)
    assigned = stratified_folds(labels, folds, 0)
    assert set(assigned.tolist()) <= set(range(folds))
    rarest = labels.sum(axis=0).argmin() if labels.any() else 0
    counts = np.bincount(assigned[labels[:, rarest] == 1], minlength=folds)
    if labels[:, rarest].sum() > 0:
        assert counts.max() - counts.min() <= 1  # it is dealt out first


def test_a_rare_label_beside_a_common_one_is_in_every_fold():
    labels = np.zeros((100, 2), dtype=np.int64)
    labels[:, 0] = 1
    labels[:5, 1] = 1
    assigned = stratified_folds(labels, 5, 0)
    assert sorted(assigned[:5].tolist()) == [0, 1, 2, 3, 4]
    assert np.bincount(assigned).tolist() == [20] * 5


def test_samples_of_which_nothing_is_known_fill_the_folds():
    labels = np.full((10, 3), -1, dtype=np.int64)
    assert np.bincount(stratified_folds(labels, 5, 0)).tolist() == [2] * 5
