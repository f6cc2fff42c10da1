"""Counts of conditions by label and fold: one pass says what counting one by one does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kdsl.bitmaps import pack
from kdsl.mining import counting
from kdsl.mining.counting import label_counts


@given(st.data(), st.integers(1, 150), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_every_label_and_fold_is_counted_as_one_by_one(data, n_samples, n_labels, n_folds, several):
    draw = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    flags = draw.random((5, n_samples)) < 0.4
    folds = draw.integers(0, n_folds, n_samples)
    folds[0] = n_folds - 1  # the last fold is not empty
    labels = draw.integers(0, 2, (n_samples, n_labels)) if several else draw.integers(0, n_labels, n_samples)
    having = labels == 1 if several else labels[:, None] == np.arange(n_labels)
    of_label, of_fold = label_counts(pack(flags), labels, n_labels, folds)
    assert of_label.shape == (n_folds, n_labels, 5)
    for fold in range(n_folds):
        inside = folds == fold
        assert of_fold[fold].tolist() == flags[:, inside].sum(axis=1).tolist()
        for label in range(n_labels):
            assert of_label[fold, label].tolist() == flags[:, inside & having[:, label]].sum(axis=1).tolist()


def test_conditions_are_counted_in_blocks(monkeypatch):
    flags = np.random.default_rng(0).random((50, 100)) < 0.3
    labels, folds = np.arange(100) % 3, np.arange(100) % 2
    at_once = label_counts(pack(flags), labels, 3, folds)
    monkeypatch.setattr(counting, "_BLOCK", 700)  # seven conditions
    in_blocks = label_counts(pack(flags), labels, 3, folds)
    assert all((one == other).all() for one, other in zip(at_once, in_blocks, strict=True))


def test_nothing_is_counted_of_no_condition():
    of_label, of_fold = label_counts(np.zeros((0, 1), dtype=np.uint64), np.array([0, 1]), 2, np.array([0, 1]))
    assert (of_label.shape, of_fold.shape) == ((2, 2, 0), (2, 0))
