"""Labels as an array: who counts them need not know whether a sample has one or several."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.label_matrix import (
    has_label,
    is_labelled,
    label_array,
    label_counts,
    label_shares,
    membership,
    require_one_label,
    several,
)
from kdsl.sample import Label, Sample, Task

ONE = Task("shop", (Label("退款"), Label("尺码"), Label("物流")))
MANY = Task("shop", ONE.labels, multi=True)
SAMPLES = [
    Sample("1", "shop", labels=("尺码", "物流")),
    Sample("2", "shop", labels=()),
    Sample("3", "shop"),
    Sample("4", "shop", labels=("退款", "发票")),
]


def test_several_labels_are_a_row_of_zeros_and_ones():
    found = label_array(SAMPLES, MANY)
    assert several(found) and found.dtype == np.int64
    assert found.tolist() == [[0, 1, 1], [0, 0, 0], [-1, -1, -1], [-1, -1, -1]]


def test_no_label_is_known_of_a_sample_that_nobody_labelled_or_with_one_that_the_task_lacks():
    found = label_array(SAMPLES, MANY)
    assert is_labelled(found).tolist() == [True, True, False, False]
    assert not membership(found, 3)[2:].any()
    assert is_labelled(
        label_array([Sample("1", "shop", label="发票"), Sample("2", "shop", label="退款")], ONE)
    ).tolist() == [
        False,
        True,
    ]


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=20))
def test_one_label_a_sample_counts_as_several_of_which_there_is_one(labels):
    one = np.array(labels, dtype=np.int64)
    many = np.array([[-1] * 3 if label < 0 else np.eye(3, dtype=int)[label] for label in labels], dtype=np.int64)
    assert not several(one)
    assert (membership(one, 3) == membership(many, 3)).all()
    assert (is_labelled(one) == is_labelled(many)).all()
    assert label_counts(one, 3).tolist() == label_counts(many, 3).tolist()
    assert np.allclose(label_shares(one, 3), label_counts(many, 3) / len(labels))
    for label in range(3):
        assert (has_label(one, label) == has_label(many, label)).all()


def test_shares_of_labels_that_come_together_do_not_sum_to_one():
    assert label_shares(label_array(SAMPLES[:2], MANY), 3).tolist() == [0.0, 0.5, 0.5]


def test_what_knows_one_label_only_names_the_task():
    require_one_label([ONE], "`kdsl distill`")
    with pytest.raises(KdslError, match=r"shop: its samples may have several labels .*, and `kdsl distill` is for"):
        require_one_label([ONE, MANY], "`kdsl distill`")


def test_a_sample_says_what_people_gave_it():
    assert [sample.answer for sample in SAMPLES[:3]] == [("尺码", "物流"), (), None]
    assert [sample.answer_words for sample in SAMPLES[:3]] == ["尺码 + 物流", "no label", None]
    one = Sample("5", "shop", label="退款")
    assert (one.answer, one.answer_words, one.given_labels) == ("退款", "退款", ("退款",))
