import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from kdsl.evaluate.metrics import NO_PREDICTION, Outcome
from kdsl.evaluate.report import TaskResult, summarise

LONG = "下单过程中屏幕上出现异常提示（显示未能购买）"


def result(task, labels, n, seed):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, len(labels), n)
    probabilities = generator.dirichlet(np.ones(len(labels)), n)
    probabilities[np.arange(n), truth] += 0.5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    model = Outcome(truth, probabilities.argmax(axis=1), probabilities)
    both = Outcome(truth, np.where(generator.random(n) < 0.3, truth, model.predicted), probabilities)
    rules = Outcome(truth, np.where(generator.random(n) < 0.5, truth, NO_PREDICTION))
    return TaskResult(task, tuple(labels), tuple(f"{task}-{i}" for i in range(n)), model, rules, both)


@pytest.fixture
def results():
    return [
        result("intent_zh", ["能否调光", "商品[材质]", "从未出现"][:2], 60, 1),
        result("scene_zh", [LONG, "其他"], 90, 2),
    ]


def test_the_pooled_score_treats_labels_of_two_tasks_as_different_classes(results):
    truth, predicted = (
        [f"{r.task}{i}" for r in results for i in getattr(r.both, name)] for name in ("truth", "predicted")
    )
    summary = summarise(results, seed=0)
    assert summary.pooled.both.scores.weighted_f1 == pytest.approx(f1_score(truth, predicted, average="weighted"))
    assert summary.pooled.samples == 150


def test_the_difference_is_both_minus_the_model_alone(results):
    task = summarise(results, seed=0).tasks[0]
    assert task.difference.weighted_f1 == pytest.approx(task.both.scores.weighted_f1 - task.model.scores.weighted_f1)
    interval = task.difference.intervals.weighted_f1
    assert interval.low <= task.difference.weighted_f1 <= interval.high


def test_the_summary_is_plain_json_and_repeats_with_its_seed(results):
    text = json.dumps(summarise(results, seed=3).record(), allow_nan=False)
    assert text == json.dumps(summarise(results, seed=3).record())
    assert json.loads(text)["tasks"][0]["rules"]["expected_calibration_error"] is None
    assert [row["label"] for row in json.loads(text)["tasks"][0]["labels"]] == ["能否调光", "商品[材质]"]


def test_as_text_it_is_a_line_a_predictor(results):
    summary = summarise(results, seed=0)
    lines = str(summary).splitlines()
    assert [line.split(":")[0] for line in lines[::4]] == ["intent_zh", "scene_zh", "pooled"]
    assert lines[3].split()[:4] == ["both", "weighted", "F1", f"{summary.tasks[0].both.scores.weighted_f1:.3f}"]
    assert "pooled" not in str(summarise(results[:1], seed=0))
