"""What the model expects of a rule on unlabelled samples tells how precise the rule is."""

import numpy as np
import pytest

from kdsl.bitmaps import pack
from kdsl.review.value_of_looking import Precision, value_of_looking

LABELS = np.array([0, 0, -1])


def bits(*rows: list[int], n: int) -> np.ndarray:
    flags = np.zeros((len(rows), n), dtype=bool)
    for flag, row in zip(flags, rows, strict=True):
        flag[row] = True
    return pack(flags)


def known() -> Precision:
    return Precision.of(np.array([0.8, 0.8, 0.8]), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))


def test_a_few_hits_count_as_they_are_and_labelled_ones_say_nothing():
    probabilities = np.array([[0.1, 0.9], [0.5, 0.5], [0.9, 0.1]])
    hits = bits([0, 1], [2], [0, 1, 2], n=3)
    found = known().heard(hits, LABELS, probabilities, np.array([-1, -1, 1]))
    assert found.a == pytest.approx([3.2 + 0.6, 3.2, 3.2])
    assert found.b == pytest.approx([0.8 + 1.4, 0.8, 0.8])


def test_many_hits_count_like_twenty():
    probabilities = np.tile([[0.25, 0.75]], (100, 1))
    found = known().heard(bits(list(range(100)), [], [], n=100), LABELS, probabilities, np.full(100, -1))
    assert found.a[0] == pytest.approx(3.2 + 5)
    assert found.b[0] == pytest.approx(0.8 + 15)


def test_a_rule_that_is_wrong_where_nobody_looked_does_not_seem_to_have_the_most_to_tell():
    """Both were right in training; the model says that most unlabelled hits of the first are another label's."""
    probabilities = np.vstack([np.tile([[0.05, 0.95]], (60, 1)), np.tile([[0.6, 0.4]], (60, 1))])
    truth, accepted = np.full(120, -1), np.zeros(3, dtype=bool)
    hits = bits(list(range(60)), list(range(60, 120)), [], n=120)

    def value(precision: Precision) -> np.ndarray:
        return value_of_looking(hits, LABELS, precision, probabilities, truth, accepted)

    before, after = value(known()), value(known().heard(hits, LABELS, probabilities, truth))
    assert before[0] > before[1]
    assert after[0] < 0.01 < after[1]
