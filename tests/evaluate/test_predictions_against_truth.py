import json
from pathlib import Path

import numpy as np
import pytest

from kdsl.errors import KdslError
from kdsl.evaluate.metrics import NO_PREDICTION
from kdsl.evaluate.predictions import read_results
from kdsl.sample import Label, Sample, Task

COLOUR = Task("颜色", (Label("红"), Label("蓝")))
SIZE = Task("尺寸", (Label("大"), Label("中"), Label("小")))
TRUTH = Path("truth.json")
SAMPLES = [
    Sample("a", "颜色", label="红"),
    Sample("b", "尺寸", label="小"),
    Sample("c", "颜色", label="蓝"),
]


def record(id_, task, label, **more):
    return {
        "id": id_,
        "task": task,
        "label": label,
        "model": {"label": label, "probability": 0.6},
        "rules": [],
        **more,
    }


GOOD = [record("c", "颜色", "红"), record("a", "颜色", "红"), record("b", "尺寸", "小")]


def results(folder, records, samples=SAMPLES, tasks=(COLOUR, SIZE)):
    path = folder / "predictions.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in records), encoding="utf-8")
    return read_results(path, TRUTH, samples, tasks)


def test_predictions_are_matched_by_id_and_grouped_by_task(tmp_path):
    colour, size = results(tmp_path, GOOD)
    assert (colour.task, colour.labels, colour.ids) == ("颜色", ("红", "蓝"), ("a", "c"))
    assert colour.both.truth.tolist() == [0, 1]
    assert colour.both.predicted.tolist() == [0, 0]
    assert (size.ids, size.both.truth.tolist(), size.both.predicted.tolist()) == (("b",), [2], [2])


def test_samples_of_two_tasks_may_share_their_ids(tmp_path):
    samples = [Sample("1", "颜色", label="红"), Sample("1", "尺寸", label="小")]
    records = [record("1", "尺寸", "大"), record("1", "颜色", "红")]
    colour, size = results(tmp_path, records, samples)
    assert (colour.both.predicted.tolist(), size.both.predicted.tolist()) == ([0], [0])
    with pytest.raises(KdslError, match=r"no prediction for 1 of the 2 samples in truth\.json, the first being '1'"):
        results(tmp_path, records[:1], samples)
    with pytest.raises(KdslError, match="line 2: the id '1' was predicted before, on line 1"):
        results(tmp_path, records[:1] * 2, samples)


def test_a_task_without_samples_has_no_result(tmp_path):
    assert [result.task for result in results(tmp_path, GOOD[2:], SAMPLES[1:2])] == ["尺寸"]


def test_the_rules_alone_say_the_label_of_the_most_reliable_hit(tmp_path):
    hits = [{"id": "r-1", "label": "红", "reliability": 0.7}, {"id": "r-2", "label": "蓝", "reliability": 0.9}]
    colour, _ = results(tmp_path, [record("c", "颜色", "红", rules=hits), *GOOD[1:]])
    assert colour.rules.predicted.tolist() == [NO_PREDICTION, 1]
    assert colour.both.predicted.tolist() == [0, 0]


def test_rules_that_are_more_often_wrong_than_right_say_nothing_alone(tmp_path):
    hits = [{"label": "蓝", "reliability": 0.49}, {"label": "红", "reliability": 0.3}]
    colour, _ = results(tmp_path, [record("c", "颜色", "红", rules=hits), *GOOD[1:]])
    assert colour.rules.predicted.tolist() == [NO_PREDICTION, NO_PREDICTION]


def test_of_equally_reliable_hits_the_first_counts(tmp_path):
    hits = [{"label": "蓝", "reliability": 0.7}, {"label": "红", "reliability": 0.7}]
    colour, _ = results(tmp_path, [record("c", "颜色", "红", rules=hits), *GOOD[1:]])
    assert colour.rules.predicted[1] == 1


def test_the_model_alone_is_judged_by_its_own_label_and_probability(tmp_path):
    overruled = record("c", "颜色", "蓝", model={"label": "红", "probability": 0.9})
    colour, _ = results(tmp_path, [overruled, *GOOD[1:]])
    assert colour.model.predicted.tolist() == [0, 0]
    assert colour.both.predicted.tolist() == [0, 1]
    assert colour.model.confidence.tolist() == [0.6, 0.9]
    assert colour.model.probabilities is None


def test_the_whole_distribution_is_used_where_every_record_has_it(tmp_path):
    half, sure = {"红": 0.6, "蓝": 0.4}, {"蓝": 1.0}
    first = record("a", "颜色", "红", probabilities=half, model={"label": "红", "probabilities": half})
    second = record("c", "颜色", "蓝", probabilities=sure, model={"label": "红", "probabilities": half})
    colour, _ = results(tmp_path, [first, second, GOOD[2]])
    assert colour.both.probabilities.tolist() == [[0.6, 0.4], [0.0, 1.0]]
    assert colour.model.probabilities.tolist() == [[0.6, 0.4], [0.6, 0.4]]
    partly, _ = results(tmp_path, [first, record("c", "颜色", "蓝"), GOOD[2]])
    assert partly.both.probabilities is None
    assert partly.model.probabilities is None


def test_rounded_probabilities_are_brought_to_sum_one(tmp_path):
    rounded = {"大": 0.333, "中": 0.333, "小": 0.333}
    _, size = results(tmp_path, [*GOOD[:2], record("b", "尺寸", "小", probabilities=rounded)])
    np.testing.assert_allclose(size.both.probabilities.sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (record("z", "颜色", "红"), "no sample in truth.json has the id 'z'"),
        (record("a", "颜色", "蓝"), "the id 'a' was predicted before, on line 2"),
        (record("b", "颜色", "红"), "'b' is predicted for task '颜色', but truth.json has it in task '尺寸'"),
        (record("b", "尺寸", "红"), "`label` names the label '红', which task 尺寸 does not list"),
        (record("b", "尺寸", "小", model={"label": "红"}), "`model.label` names the label '红'"),
        (record("b", "尺寸", "小", rules=[{"label": "红", "reliability": 1}]), "`rules` names the label '红'"),
        (record("b", "尺寸", "小", probabilities={"红": 1.0}), "`probabilities` names the label '红'"),
        (record("b", "尺寸", "小", probabilities={"小": 0.5}), "`probabilities` sum to 0.500"),
        (record("b", "尺寸", "小", probabilities={"小": -1}), "`probabilities.小`: input should be greater than"),
        (
            record("b", "尺寸", "小", probabilities={"小": float("nan")}),
            "`probabilities.小`: input should be",
        ),
        (record("b", "尺寸", "小", rules=[{"label": "小"}]), "`rules.0.reliability`: field required; expected lines"),
        (record(7, "尺寸", "小"), "`id`: input should be a valid string, not '7'"),
        ({"id": "b", "label": "小"}, "`task`: field required"),
        (record("b", "尺寸", None), "`model.label`: input should be a valid string, not 'None'"),
    ],
)
def test_a_wrong_record_is_named_by_its_line(tmp_path, line, message):
    with pytest.raises(KdslError, match=r"predictions\.jsonl, line 3: ") as error:
        results(tmp_path, [*GOOD[:2], line])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_predictions_are_counted_and_the_first_is_named(tmp_path):
    with pytest.raises(KdslError, match=r"no prediction for 2 of the 3 samples in truth.json, the first being 'a'"):
        results(tmp_path, GOOD[2:])


def test_an_empty_prediction_file_misses_everything(tmp_path):
    with pytest.raises(KdslError, match="no prediction for 3 of the 3 samples"):
        results(tmp_path, [])


def test_a_torn_line_is_named(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text(json.dumps(GOOD[0]) + '\n{"id": "a", "ta', encoding="utf-8")
    with pytest.raises(KdslError, match=r"predictions\.jsonl, line 2: not valid JSON"):
        read_results(path, TRUTH, SAMPLES, [COLOUR, SIZE])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "truth.json: holds no sample"),
        ([*SAMPLES, Sample("d", "颜色"), Sample("e", "颜色")], "2 of 5 samples have no label, the first being 'd'"),
        ([*SAMPLES, SAMPLES[0]], "sample 'a' occurs twice"),
        ([Sample("a", "颜色", label="绿")], "1 of 1 samples have a label that task 颜色 does not list ('绿')"),
        ([Sample("a", "形状", label="圆")], "sample 'a' is of task '形状'; the project's tasks are 颜色, 尺寸"),
    ],
)
def test_a_truth_that_cannot_judge_is_refused(tmp_path, samples, message):
    with pytest.raises(KdslError) as error:
        results(tmp_path, GOOD, samples)
    assert message in str(error.value)
