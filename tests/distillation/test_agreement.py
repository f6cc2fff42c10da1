"""A teacher's label is kept when it is sure of it and the rules, or in their silence the model, say the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.distillation.agreement import SILENT, by_label, by_way, keeps
from kdsl.distillation.teacher import NO_LABEL, TeacherLabels


def teacher_labels(labels: list[int], confidence: list[float]) -> TeacherLabels:
    return TeacherLabels(np.array(labels), np.array(confidence), np.zeros((len(labels), 4)))


@pytest.mark.parametrize(
    ("teacher", "confidence", "model", "rules", "kept"),
    [
        (1, 0.9, 1, 1, True),
        (1, 0.9, 1, SILENT, True),
        (1, 0.9, 2, 1, True),
        (1, 0.9, 1, 2, False),
        (1, 0.9, 2, SILENT, False),
        (1, 0.9, 2, 2, False),
        (1, 0.7, 1, 1, False),
        (1, 0.8, 1, 1, True),
        (NO_LABEL, 0.0, 1, SILENT, False),
        (NO_LABEL, 0.9, SILENT, SILENT, False),
    ],
)
def test_what_is_kept(teacher, confidence, model, rules, kept):
    found = keeps(teacher_labels([teacher], [confidence]), np.array([model]), np.array([rules]), 0.8)
    assert found.tolist() == [kept]


def test_the_table_tells_every_way_of_agreeing_once():
    rows = by_way(
        teacher_labels([1, 2, 1, 0, NO_LABEL, 3], [0.9, 0.7, 0.9, 0.9, 0, 0.9]),
        np.array([1, 2, 2, 1, 1, 0]), np.array([SILENT, SILENT, 2, 2, 0, 3]), 0.8,
    )  # fmt: skip
    assert [(row.teacher + row.model + row.rules, row.samples, row.confident, row.kept) for row in rows] == [
        ("AA-", 2, 1, 1), ("-AB", 1, 0, 0), ("ABA", 1, 1, 1), ("ABB", 1, 1, 0), ("ABC", 1, 1, 0),
    ]  # fmt: skip


WORDS = st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 1), st.integers(0, 3), st.integers(-1, 3)), min_size=1)


@given(WORDS)
def test_the_table_counts_everything_once(words):
    teacher, confidence, model, rules = map(list, zip(*words, strict=True))
    found = teacher_labels(teacher, confidence)
    rows = by_way(found, np.array(model), np.array(rules), 0.8)
    assert sum(row.samples for row in rows) == len(words)
    assert sum(row.kept for row in rows) == keeps(found, np.array(model), np.array(rules), 0.8).sum()
    assert all(row.kept in (0, row.confident) and row.confident <= row.samples for row in rows)


def test_a_table_by_label_shows_which_ones_the_teacher_gets_wrong():
    rows = by_label(
        teacher_labels([0, 0, 0, 0, 2, NO_LABEL], [0.9, 0.9, 0.9, 0.5, 0.9, 0.0]),
        np.array([0, 1, 1, 0, 2, 0]), np.array([SILENT, 0, 1, 2, SILENT, 0]), 0.8, ("甲", "乙", "丙"),
    )  # fmt: skip
    assert [tuple(row.record().values()) for row in rows] == [
        ("甲", 4, 3, 2, 2, 1, 2),
        ("乙", 0, 0, 0, 0, 0, 0),
        ("丙", 1, 1, 1, 1, 0, 0),
    ]


@given(WORDS)
def test_by_label_and_by_way_count_the_same(words):
    teacher, confidence, model, rules = map(list, zip(*words, strict=True))
    said = teacher_labels(teacher, confidence), np.array(model), np.array(rules), 0.8
    ways = [way for way in by_way(*said) if way.teacher == "A"]
    labels = by_label(*said, "甲乙丙丁")
    assert sum(row.answered for row in labels) == sum(way.samples for way in ways)
    assert sum(row.kept for row in labels) == sum(way.kept for way in ways)
    assert sum(row.confident for row in labels) == sum(way.confident for way in ways)
    assert sum(row.model_agrees for row in labels) == sum(way.samples for way in ways if way.model == "A")
    assert sum(row.rules_agree for row in labels) == sum(way.samples for way in ways if way.rules == "A")
    assert sum(row.rules_object for row in labels) == sum(way.samples for way in ways if way.rules in "BC")
