import json

import pytest
from scored_results import two_tasks
from sklearn.metrics import f1_score

from kdsl.evaluate.report import summarise


@pytest.fixture
def results():
    return two_tasks()


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
