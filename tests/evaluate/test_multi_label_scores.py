"""Scores where a sample may have several labels, checked against scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from kdsl.errors import KdslError
from kdsl.evaluate.folder import write_evaluation
from kdsl.evaluate.metrics import Outcome
from kdsl.evaluate.multi_label import (
    MultiOutcome,
    multi_label_brier_score,
    multi_label_difference,
    multi_label_intervals,
    multi_label_label_scores,
    multi_label_scores,
    pool_outcomes,
)
from kdsl.evaluate.predictions import read_results
from kdsl.evaluate.report import MultiLabelResult, TaskResult, summarise
from kdsl.sample import Label, Sample, Task, Turn

ROW = st.lists(st.booleans(), min_size=3, max_size=3)


@given(st.lists(st.tuples(ROW, ROW), min_size=1, max_size=30))
def test_scores_are_those_of_scikit_learn(rows):
    truth, predicted = (np.array(part) for part in zip(*rows, strict=True))
    found = multi_label_scores(MultiOutcome(truth, predicted))

    def expected(kind: str, labels=None) -> list[float]:
        return precision_recall_fscore_support(truth, predicted, labels=labels, average=kind, zero_division=0)[:3]

    assert found.micro_f1 == pytest.approx(expected("micro")[2])
    assert [found.weighted_precision, found.weighted_f1] == pytest.approx([expected("weighted")[i] for i in (0, 2)])
    occurring = np.flatnonzero(truth.any(axis=0))
    macro = expected("macro", occurring) if len(occurring) else (0.0, 0.0, 0.0)
    assert [found.macro_precision, found.macro_recall, found.macro_f1] == pytest.approx(list(macro))
    assert found.accuracy == pytest.approx((truth == predicted).all(axis=1).mean())
    for label, row in enumerate(multi_label_label_scores(MultiOutcome(truth, predicted))):
        hits = int((truth & predicted)[:, label].sum())
        assert (row.support, row.predicted) == (truth[:, label].sum(), predicted[:, label].sum())
        assert row.precision == (hits / row.predicted if row.predicted else None)
        assert row.recall == (hits / row.support if row.support else None)


def outcome(n: int = 200, right: float = 0.9, seed: int = 0) -> MultiOutcome:
    random = np.random.default_rng(seed)
    truth = np.random.default_rng(7).random((n, 3)) < 0.4
    predicted = np.where(random.random((n, 3)) < right, truth, ~truth)
    return MultiOutcome(truth, predicted, np.where(predicted, 0.9, 0.1))


def test_intervals_hold_the_scores_and_narrow_with_samples():
    few, many = outcome(50), outcome(800)
    for each in (few, many):
        scores, found = multi_label_scores(each), multi_label_intervals(each, seed=0)
        for name in ("micro_f1", "macro_f1", "weighted_f1", "accuracy"):
            interval = getattr(found, name)
            assert interval.low < getattr(scores, name) < interval.high, name
    widths = [i.high - i.low for i in (multi_label_intervals(each, 0).micro_f1 for each in (few, many))]
    assert widths[0] > 2 * widths[1]
    assert multi_label_intervals(few, 3) == multi_label_intervals(few, 3)


def test_a_difference_is_paired():
    better, worse = outcome(right=0.95), outcome(right=0.8, seed=1)
    assert multi_label_difference(better, worse, seed=0).micro_f1.low > 0
    same = multi_label_difference(better, better, seed=0)
    assert (same.micro_f1.low, same.micro_f1.high) == (0, 0)
    with pytest.raises(ValueError, match="the same samples"):
        multi_label_difference(better, outcome(100), seed=0)


def test_probabilities_are_of_each_label_by_itself():
    found = outcome()
    assert multi_label_brier_score(found) == pytest.approx(3 * (0.9 * 0.01 + 0.1 * 0.81), abs=0.15)
    assert found.pairs.confidence.tolist() == found.probabilities.ravel().tolist()
    assert found.pairs.correct.tolist() == found.truth.ravel().tolist()
    assert multi_label_brier_score(MultiOutcome(found.truth, found.predicted)) is None


def test_outcomes_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must all be \[n, n_labels\]"):
        MultiOutcome(np.zeros((3, 2), dtype=bool), np.zeros((3, 3), dtype=bool))
    with pytest.raises(ValueError, match="no sample to score"):
        multi_label_scores(MultiOutcome(np.zeros((0, 2), dtype=bool), np.zeros((0, 2), dtype=bool)))


def test_tasks_are_pooled_side_by_side():
    first, second = outcome(10), outcome(20)
    pooled = pool_outcomes([first, second])
    assert pooled.truth.shape == (30, 6)
    assert not pooled.truth[:10, 3:].any() and not pooled.predicted[10:, :3].any()
    assert (pooled.truth[10:, 3:] == second.truth).all()
    alone = MultiOutcome(first.truth, first.predicted)
    assert pool_outcomes([alone, second]).probabilities is None


def multi_result(n: int = 20) -> MultiLabelResult:
    found = outcome(n)
    return MultiLabelResult("topics", ("甲", "乙", "丙"), tuple(map(str, range(n))), outcome(n, 0.7, 2), found, found)


def test_a_task_with_one_label_beside_one_with_several_is_pooled_as_having_several():
    one = Outcome(np.array([0, 1]), np.array([0, -1]))
    single = TaskResult("shop", ("a", "b"), ("1", "2"), one, one, one)
    summary = summarise([single, multi_result()], seed=0)
    assert [task.multi for task in summary.sections] == [False, True, True]
    assert summary.pooled.samples == 22
    assert summary.tasks[0].both.scores.micro_f1 is None and summary.tasks[0].difference.micro_f1 is None
    assert summary.tasks[1].difference.micro_f1 > 0
    assert [row.label for row in summary.tasks[1].labels] == ["甲", "乙", "丙"]
    assert "topics: 20 samples, several labels each\n  model alone  micro F1 0." in str(summary)
    shown = summary._repr_html_()
    assert "several labels each" in shown and "micro F1" in shown


def test_the_folder_has_no_matrix_of_what_is_taken_for_what(tmp_path):
    result = multi_result()
    write_evaluation(tmp_path, [result], summarise([result], seed=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "reliability-topics.png", "report.json"]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["tasks"][0]["both"]["scores"]["micro_f1"] > 0.8


TASK = Task("topics", (Label("甲"), Label("乙")), multi=True)
ONE = Task("topics", TASK.labels)
TRUTH = [
    Sample("1", "topics", (Turn("user", "一"),), labels=("甲", "乙")),
    Sample("2", "topics", (Turn("user", "二"),), labels=()),
]


def predictions(path, **changed):
    records = [
        {
            "id": str(number), "task": "topics", "label": labels, "probabilities": {"甲": 0.9, "乙": 0.3},
            "model": {"label": ["甲"], "probabilities": {"甲": 0.8, "乙": 0.6}},
            "rules": [{"label": "乙", "reliability": 0.9}, {"label": "甲", "reliability": 0.4}],
        }
        for number, labels in (("1", ["甲", "乙"]), ("2", ["甲"]))
    ]  # fmt: skip
    records[0] |= changed
    path.write_text("\n".join(json.dumps(each, ensure_ascii=False) for each in records), encoding="utf-8")
    return path


def test_predictions_are_compared_label_by_label(tmp_path):
    [found] = read_results(predictions(tmp_path / "p.jsonl"), tmp_path / "t.jsonl", TRUTH, [TASK])
    assert found.both.truth.tolist() == [[True, True], [False, False]]
    assert found.both.predicted.tolist() == [[True, True], [True, False]]
    assert found.model.predicted.tolist() == [[True, False], [True, False]]
    assert found.rules.predicted.tolist() == [[False, True], [False, True]]  # rules right half the time or more
    assert found.both.probabilities.tolist() == [[0.9, 0.3], [0.9, 0.3]]


@pytest.mark.parametrize(
    ("changed", "task", "message"),
    [
        (
            {"label": "甲"},
            TASK,
            "line 1: `label` is '甲', but a sample of task topics has several labels; expected a list",
        ),
        ({}, ONE, r"line 1: `label` is \['甲', '乙'\], but a sample of task topics has one label; expected its name"),
        ({"label": ["丁"]}, TASK, "line 1: `label` names the label '丁', which task topics does not list"),
        ({"label": 3}, TASK, "line 1: not a prediction record: `label`: input should be a valid string, not '3'"),
    ],
)
def test_predictions_of_another_kind_are_named(tmp_path, changed, task, message):
    truth = TRUTH if task is TASK else [Sample("1", "topics", label="甲"), Sample("2", "topics", label="乙")]
    with pytest.raises(KdslError, match=message):
        read_results(predictions(tmp_path / "p.jsonl", **changed), tmp_path / "t.jsonl", truth, [task])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample("2", "topics"), "1 of 2 samples have no label, the first being '2'"),
        (
            Sample("2", "topics", labels=("甲", "丁")),
            r"1 of 2 samples have a label that task topics does not list \('丁'\)",
        ),
    ],
)
def test_truth_needs_known_labels(tmp_path, sample, message):
    with pytest.raises(KdslError, match=message):
        read_results(predictions(tmp_path / "p.jsonl"), tmp_path / "t.jsonl", [TRUTH[0], sample], [TASK])
