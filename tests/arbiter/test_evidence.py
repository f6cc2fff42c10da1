"""From rule hits to evidence, in numbers."""

import numpy as np
import pytest

from kdsl.arbiter.evidence import RuleEvidence, label_evidence, overlap


def hits(*rows: str) -> np.ndarray:
    """One row a sample, one character a rule: x where it hits."""
    return np.array([[each == "x" for each in row] for row in rows])


def test_overlap_is_the_share_of_common_samples_of_rules_for_one_label():
    found = overlap(np.array([0, 0, 1, 0]), hits("xxx-", "xx--", "-x--", "-x--"))
    assert found.tolist() == [[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


OVERLAPS = np.array([[1, 0.5, 0.2, 0], [0.5, 1, 0.8, 0], [0.2, 0.8, 1, 0], [0, 0, 0, 1]])


def evidence(row: str, people: str = "----") -> RuleEvidence:
    """Rules of weight 1, 3 and 2 for label 0, and one of weight 5 for label 2; x in `people` marks accepted ones."""
    labels, weights = np.array([0, 0, 0, 2]), np.array([1.0, 3.0, 2.0, 5.0])
    return label_evidence(hits(row), labels, weights, OVERLAPS, 3, hits(people)[0])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("----", [0, 0, 0]),
        ("x---", [1, 0, 0]),
        ("-x--", [3, 0, 0]),
        ("xx--", [3 + 1 * (1 - 0.25), 0, 0]),
        ("x-x-", [2 + 1 * (1 - 0.04), 0, 0]),
        ("xxx-", [3 + 2 * (1 - 0.64) + 1 * (1 - 0.25), 0, 0]),  # the largest overlap with a heavier one
        ("xx-x", [3.75, 0, 5]),
    ],
)
def test_the_heaviest_rule_counts_in_full_and_others_less_what_they_share_with_heavier_ones(row, expected):
    for people, silent in (("----", 0), ("xxxx", 1)):
        found = evidence(row, people)
        assert found[1 - silent][0] == pytest.approx(expected)
        assert not found[silent].any()


@pytest.mark.parametrize(
    ("people", "accepted", "proposed"),
    [
        ("x---", [1, 0, 0], [3 * (1 - 0.25) + 2 * (1 - 0.64), 0, 5]),  # accepted ones come first, the lighter too
        ("-x--", [3, 0, 0], [2 * (1 - 0.64) + 1 * (1 - 0.25), 0, 5]),
        ("---x", [0, 0, 5], [3 + 2 * (1 - 0.64) + 1 * (1 - 0.25), 0, 0]),
    ],
)
def test_accepted_rules_come_before_the_others_and_have_a_part_of_their_own(people, accepted, proposed):
    found = evidence("xxxx", people)
    assert found.people[0] == pytest.approx(accepted)
    assert found.mined[0] == pytest.approx(proposed)


def test_a_mined_twin_of_an_accepted_rule_says_nothing():
    both = label_evidence(
        hits("xx"), np.array([0, 0]), np.array([1.0, 4.0]), np.ones((2, 2)), 2, np.array([True, False])
    )
    assert both.people.tolist() == [[1, 0]]
    assert both.mined.tolist() == [[0, 0]]


def test_a_rule_that_weighs_nothing_takes_nothing_from_others():
    found = label_evidence(
        hits("xx"), np.array([0, 0]), np.array([0.0, 4.0]), np.ones((2, 2)), 2, np.array([True, False])
    )
    assert found.mined.tolist() == [[4, 0]]


def test_every_sample_has_evidence_of_its_own():
    labels, weights = np.array([1, 1]), np.array([2.0, 1.0])
    found = label_evidence(hits("x-", "-x", "xx", "--"), labels, weights, np.eye(2), 2, np.zeros(2, dtype=bool)).mined
    assert found.tolist() == [[0, 2], [0, 1], [0, 3], [0, 0]]


def test_without_rules_there_is_none():
    none = np.zeros(0)
    nobody = np.zeros(0, dtype=bool)
    found = label_evidence(np.zeros((2, 0), dtype=bool), none.astype(int), none, np.zeros((0, 0)), 3, nobody)
    assert found.people.tolist() == found.mined.tolist() == [[0, 0, 0]] * 2
