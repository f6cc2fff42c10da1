"""Stratified folds and samples: balanced for every label, rare ones included, and repeatable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.splits import FEWEST, grouped_folds, stratified_folds, stratified_sample
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


def drawn(labels, most, seed=0, ids=None):
    return stratified_sample(ids or [f"s{i}" for i in range(len(labels))], labels, most, seed)


def test_no_more_samples_than_wanted_are_all_of_them():
    assert drawn([0, 0, 1], 3).tolist() == [0, 1, 2]
    assert drawn([], 3).tolist() == []


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 80), st.integers(0, 5))
def test_a_sample_has_as_many_as_wanted_each_once_and_in_order(sizes, most, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = drawn(labels, most, seed)
    assert len(rows) == min(most, len(labels))
    assert (np.diff(rows) > 0).all()


def test_labels_have_their_shares_and_what_is_left_goes_to_those_that_lack_most():
    labels = np.repeat([0, 1, 2], [5000, 3330, 1670])
    # Of 1,001 their shares are 500.5, 333.333 and 167.167.
    assert np.bincount(labels[drawn(labels, 1001)]).tolist() == [501, 333, 167]


def test_a_rare_label_has_its_fewest_and_the_others_share_what_is_left():
    labels = np.repeat([0, 1, 2, 3], [6000, 3000, 150, 40])
    assert np.bincount(labels[drawn(labels, 900)]).tolist() == [507, 253, FEWEST, 40]


def test_many_labels_have_fewer_than_the_fewest_each():
    labels = np.repeat(np.arange(51), [5000, *[50] * 50])
    counts = np.bincount(labels[drawn(labels, 510)])
    assert counts.tolist() == [260, *[5] * 50]


def test_the_same_samples_are_drawn_in_whatever_order_they_come():
    labels = np.array([i % 3 for i in range(600)])
    order = np.random.default_rng(0).permutation(600)
    rows = drawn(labels, 90)
    shuffled = drawn(labels[order], 90, ids=[f"s{i}" for i in order])
    assert sorted(order[shuffled]) == rows.tolist()


def test_some_samples_more_change_few_of_those_drawn():
    labels = np.zeros(600, dtype=int)
    before, after = set(drawn(labels[:500], 100).tolist()), set(drawn(labels, 100).tolist())
    assert after & set(range(500)) <= before
    assert len(before & after) > 60


def test_another_seed_draws_others():
    labels = [0] * 300
    assert (drawn(labels, 100, seed=1) == drawn(labels, 100, seed=1)).all()
    assert len(set(drawn(labels, 100, seed=1)) & set(drawn(labels, 100, seed=2))) < 60


def test_of_several_labels_each_set_is_drawn_by_its_share():
    labels = np.repeat([[1, 0], [0, 1], [1, 1]], [400, 300, 300], axis=0)
    chosen = labels[drawn(labels, 100)]
    assert [int((chosen == each).all(axis=1).sum()) for each in ([1, 0], [0, 1], [1, 1])] == [40, 30, 30]
