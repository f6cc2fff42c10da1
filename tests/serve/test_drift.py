"""The drift of labels: the population stability index of the last decisions against training."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.serve.drift import LabelDrift

WINDOW = 1000
TRAINED = {"a": 0.5, "b": 0.3, "c": 0.2}


def drift_of(counts: dict[str, int], trained=TRAINED) -> LabelDrift:
    drift = LabelDrift(trained, several=False)
    for label, number in counts.items():
        for _ in range(number):
            drift.add([label])
    return drift


def plain_index(counts, shares) -> float:
    """The formula by itself, in numpy."""
    counts, shares = np.array(counts, dtype=float), np.array(shares)
    n, k = counts.sum(), len(counts)
    p, q = (counts + 0.5) / (n + 0.5 * k), (n * shares + 0.5) / (n + 0.5 * k)
    return float(((p - q) * np.log(p / q)).sum())


@given(st.lists(st.integers(0, 60), min_size=3, max_size=3), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_the_index_is_that_of_the_formula(counts, weights):
    total = sum(weights) or 1.0
    trained = {label: weight / total for label, weight in zip("abc", weights, strict=True)}
    index = drift_of(dict(zip("abc", counts, strict=True)), trained).index
    assert index == pytest.approx(plain_index(counts, list(trained.values())), abs=1e-9)
    assert index >= -1e-9


def test_shares_as_in_training_are_no_drift():
    assert drift_of({"a": 50, "b": 30, "c": 20}).index == pytest.approx(0, abs=1e-12)


def test_of_many_decisions_it_is_the_index_that_books_have():
    """The smoothing is little beside 1000 decisions: 0.234 by hand."""
    by_hand = 0.1 * math.log(0.6 / 0.5) + 0.05 * math.log(0.35 / 0.3) - 0.15 * math.log(0.05 / 0.2)
    assert drift_of({"a": 600, "b": 350, "c": 50}).index == pytest.approx(by_hand, rel=0.01)


def test_a_label_that_training_or_the_decisions_do_not_have_counts_much_and_not_infinitely():
    new = drift_of({"a": 500, "b": 300, "c": 200}, {"a": 0.6, "b": 0.4, "c": 0.0})
    gone = drift_of({"a": 600, "b": 400}, {"a": 0.5, "b": 0.3, "c": 0.2})
    assert new.index == pytest.approx(gone.index, rel=1e-6)  # the index is symmetric
    assert 1 < new.index < 2


shares = st.floats(0, 1)


@given(st.lists(st.lists(st.sampled_from("abc"), unique=True), min_size=1, max_size=40), shares, shares, shares)
def test_of_several_labels_each_is_a_yes_or_no_of_its_own(held, a, b, c):
    trained = {"a": a, "b": b, "c": c}
    drift = LabelDrift(trained, several=True)
    for labels in held:
        drift.add(labels)
    n = len(held)
    counts = {label: sum(label in labels for labels in held) for label in "abc"}
    expected = sum(plain_index([counts[x], n - counts[x]], [share, 1 - share]) for x, share in trained.items())
    assert drift.index == pytest.approx(expected, abs=1e-9)


def test_only_the_last_decisions_count():
    drift = drift_of({"c": 300, "a": WINDOW})
    assert len(drift) == WINDOW
    assert drift.index == pytest.approx(plain_index([WINDOW, 0, 0], [0.5, 0.3, 0.2]))
    drift.add("b")
    assert drift.index == pytest.approx(plain_index([WINDOW - 1, 1, 0], [0.5, 0.3, 0.2]))


def test_chance_alone_gives_about_what_the_docstring_says():
    """n = 1000 decisions like training, all of whose shares are known: (3 - 1) · 1 / 1000."""
    source = np.random.default_rng(0)
    indices = [
        drift_of(dict(zip("abc", source.multinomial(WINDOW, list(TRAINED.values())), strict=True))).index
        for _ in range(200)
    ]
    assert np.mean(indices) == pytest.approx(2 / WINDOW, rel=0.2)
