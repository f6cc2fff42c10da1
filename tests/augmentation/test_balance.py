"""Rare labels get more copies, and the mean is what was asked for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kdsl.augmentation.balance import MOST_COPIES, copies_per_sample

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=120).map(lambda values: np.array(values, dtype=np.int64))


def ids(labels: np.ndarray) -> list[str]:
    return [f"s{index}" for index in range(len(labels))]


@given(LABELS, st.integers(1, 10))
def test_the_mean_is_as_asked_but_for_rounding(labels, average):
    copies = copies_per_sample(labels, ids(labels), average, 0)
    assert abs(copies.sum() - average * len(labels)) <= len(np.unique(labels)) / 2 + 1e-6


@given(LABELS, st.integers(1, 10))
def test_no_sample_gets_more_than_the_bound_and_none_of_a_rarer_label_gets_less(labels, average):
    copies = copies_per_sample(labels, ids(labels), average, 0)
    assert copies.max() <= MOST_COPIES * average + 1
    counts = np.bincount(labels, minlength=6)
    for rare in np.unique(labels):
        for frequent in np.unique(labels):
            if counts[rare] < counts[frequent]:
                assert copies[labels == rare].mean() >= copies[labels == frequent].mean() - 0.51


def test_the_formula():
    """16 and 4 samples, 3 each on average: 3 · c / √n with c = 20 / (√16 + √4)."""
    labels = np.array([0] * 16 + [1] * 4)
    copies = copies_per_sample(labels, ids(labels), 3, 0)
    assert copies[labels == 0].sum() == 40
    assert copies[labels == 1].sum() == 20


def test_nothing_is_asked_for():
    assert copies_per_sample(np.array([0, 1]), ["a", "b"], 0, 0).tolist() == [0, 0]
    assert copies_per_sample(np.zeros(0, dtype=np.int64), [], 3, 0).tolist() == []
