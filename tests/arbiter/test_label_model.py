"""What rules say about samples without labels: the closed formula, against one that is written out plainly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.arbiter.label_model import label_probabilities, rule_evidence

BASE = np.array([0.5, 0.3, 0.2])


def said(hits: list[list[int]], labels: list[int], reliability: list[float]) -> np.ndarray:
    return rule_evidence(np.array(hits, dtype=bool), np.array(labels), np.array(reliability), BASE)


def given_rules(hits: list[list[int]], labels: list[int], reliability: list[float]) -> np.ndarray:
    return label_probabilities(np.tile(BASE, (len(hits), 1)), said(hits, labels, reliability))


def odds(probability: float) -> float:
    return probability / (1 - probability)


def test_one_rule_gives_its_label_just_its_reliability():
    found = given_rules([[1]], [2], [0.8])[0]
    assert found == pytest.approx([0.2 * 5 / 8, 0.2 * 3 / 8, 0.8])


def test_where_no_rule_hits_nothing_is_said():
    assert said([[0, 0], [1, 0]], [0, 1], [0.9, 0.9]).any(axis=1).tolist() == [False, True]


def test_a_rule_that_is_no_better_than_its_label_s_share_says_nothing():
    assert not said([[1, 1]], [0, 1], [0.5, 0.2]).any()


def test_rules_that_agree_on_one_sample_add_their_odds():
    """They overlap on no other sample, a third of the time."""
    hits = [[1, 1], [1, 0], [0, 1]]
    shared = 1 / 3
    first, second = math.log(odds(0.9) / odds(0.2)), math.log(odds(0.8) / odds(0.2))
    assert said(hits, [2, 2], [0.9, 0.8])[0, 2] == pytest.approx(first + second * (1 - shared**2))


def test_twins_count_once():
    hits = [[1, 1], [1, 1]]
    assert said(hits, [2, 2], [0.9, 0.8]) == pytest.approx(said([[1], [1]], [2], [0.9]))


def test_rules_that_conflict_share_the_sample_by_what_they_are_worth():
    found = given_rules([[1, 1]], [1, 2], [0.9, 0.7])[0]
    assert found.sum() == pytest.approx(1)
    assert found[1] / found[2] == pytest.approx(0.3 / 0.2 * (odds(0.9) / odds(0.3)) / (odds(0.7) / odds(0.2)))
    assert found[1] > found[2] > found[0]


def test_a_classifier_that_is_sure_changes_its_mind_less():
    evidence = said([[1], [1]], [2], [0.8])
    sure, unsure = label_probabilities(np.array([[0.98, 0.01, 0.01], [0.4, 0.4, 0.2]]), evidence)
    assert sure.argmax() == 0 and unsure.argmax() == 2
    assert sure[2] == pytest.approx(0.16 / (0.99 + 0.16))


@given(
    st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4),
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6),
)
def test_it_is_naive_bayes_over_rules_for_different_labels(reliability, hits):
    """A rule for each label, as if a sample's hits were independent given its label, and one more that never hits."""
    labels = [0, 1, 2, 2]
    hits = [[*row[:3], False] for row in hits]
    found = given_rules(hits, labels, reliability)
    for row, flags in zip(found, hits, strict=True):
        plain = BASE.copy()
        for label, value, hit in zip(labels, reliability, flags, strict=True):
            if hit:
                plain[label] *= max(odds(value) / odds(BASE[label]), 1.0)
        assert row == pytest.approx(plain / plain.sum())
