"""From rule hits to evidence, in numbers."""

import numpy as np
import pytest

from kdsl.arbiter.evidence import label_evidence, overlap


def hits(*rows: str) -> np.ndarray:
    """One row a sample, one character a rule: x where it hits."""
    return np.array([[each == "x" for each in row] for row in rows])


def test_overlap_is_the_share_of_common_samples_of_rules_for_one_label():
    found = overlap(np.array([0, 0, 1, 0]), hits("xxx-", "xx--", "-x--", "-x--"))
    assert found.tolist() == [[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


OVERLAPS = np.array([[1, 0.5, 0.2, 0], [0.5, 1, 0.8, 0], [0.2, 0.8, 1, 0], [0, 0, 0, 1]])


def evidence(row: str) -> list[float]:
    """Rules of weight 1, 3 and 2 for label 0, and one of weight 5 for label 2."""
    labels, weights = np.array([0, 0, 0, 2]), np.array([1.0, 3.0, 2.0, 5.0])
    return label_evidence(hits(row), labels, weights, OVERLAPS, 3)[0].tolist()


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
    assert evidence(row) == pytest.approx(expected)


def test_every_sample_has_evidence_of_its_own():
    labels, weights = np.array([1, 1]), np.array([2.0, 1.0])
    found = label_evidence(hits("x-", "-x", "xx", "--"), labels, weights, np.eye(2), 2)
    assert found.tolist() == [[0, 2], [0, 1], [0, 3], [0, 0]]


def test_without_rules_there_is_none():
    none = np.zeros(0)
    assert (
        label_evidence(np.zeros((2, 0), dtype=bool), none.astype(int), none, np.zeros((0, 0)), 3).tolist()
        == [[0, 0, 0]] * 2
    )
