"""What a look at a rule is worth, over plain arrays."""

import numpy as np
import pytest

from kdsl.bitmaps import pack
from kdsl.review.value_of_looking import Precision, value_of_looking

UNSURE, SAME, OTHER = [0.34, 0.33, 0.33], [0.98, 0.01, 0.01], [0.01, 0.98, 0.01]


def values(hits, model, estimates, truth=None, accepted=None, labels=None) -> np.ndarray:
    hits = np.array(hits, dtype=bool)
    none = np.zeros(len(hits), dtype=np.int64)
    return value_of_looking(
        pack(hits), none if labels is None else np.array(labels), Precision.of(np.array(estimates), none, none),
        np.array(model, dtype=float), np.full(hits.shape[1], -1) if truth is None else np.array(truth),
        none.astype(bool) if accepted is None else np.array(accepted),
    )  # fmt: skip


def test_a_rule_gains_where_the_model_is_unsure_or_says_another_label_and_nothing_where_it_agrees():
    hits = np.kron(np.eye(3), np.ones((1, 4)))
    unsure, same, other = values(hits, [UNSURE] * 4 + [SAME] * 4 + [OTHER] * 4, [0.9] * 3)
    assert other > unsure > 0.5 and same == 0


def test_junk_comes_last_however_much_it_hits():
    few, junk = values([[1, 1] + [0] * 98, [1] * 100], [UNSURE] * 100, [0.9, 0.3])
    assert few > junk >= 0


def test_what_an_accepted_rule_for_the_label_decides_gains_nothing():
    hits = [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]]
    alone = values(hits, [UNSURE] * 4, [0.9] * 3, labels=[0, 0, 1])
    beside = values(hits, [UNSURE] * 4, [0.9] * 3, accepted=[True, False, False], labels=[0, 0, 1])
    assert beside[1] == pytest.approx(alone[1] / 4) and beside[2] == alone[2]


def test_a_label_that_is_known_says_whether_the_rule_would_have_been_right():
    right, wrong = (values([[1]], [OTHER], [0.9], truth=[label])[0] for label in (0, 1))
    unknown = values([[1]], [OTHER], [0.9])[0]
    assert right > unknown > wrong == 0


def test_a_label_that_the_task_does_not_have_gains_nothing_and_no_sample_no_error():
    assert values([[1, 1]], [UNSURE] * 2, [0.9], labels=[-1]).tolist() == [0]
    assert values(np.zeros((2, 0)), np.zeros((0, 3)), [0.9, 0.5]).tolist() == [0, 0]
