"""Recorded answers: reading them, and what they are worth once calibrated."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.out_of_fold import out_of_fold
from kdsl.models.recorded import NO_ANSWER, Recorded, RecordedClassifier, RecordedTrainer, read_recorded
from kdsl.sample import Label, Sample, Task

TASK = Task("scene", (Label("支付页面"), Label("退款页面"), Label("退货页面")))


def table_of(ids: Sequence[str]) -> FieldTable:
    return FieldTable([Sample(identity, "scene") for identity in ids], Sidecars())


def recorded(answers: Sequence[int], probabilities: dict[str, np.ndarray] | None = None) -> Recorded:
    """Answers for the samples "0", "1", …"""
    return Recorded(Path("p.jsonl"), TASK.label_names, {str(i): a for i, a in enumerate(answers)}, probabilities or {})


def fit(record: Recorded, labels: Sequence[int]) -> RecordedClassifier:
    table = table_of([str(i) for i in range(len(labels))])
    return RecordedTrainer(record).fit(table, np.array(labels, dtype=np.int64), len(TASK.labels))


def file_of(tmp_path: Path, *records: object) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


# Reading


def test_answers_are_matched_with_the_labels_of_the_task(tmp_path: Path):
    path = file_of(tmp_path, {"id": "a", "label": " 退款页面\n"}, {"id": 7, "label": "支付页面", "model": "x"})
    assert read_recorded(path, TASK).answers == {"a": 1, "7": 0}


def test_records_of_another_task_are_left_out(tmp_path: Path):
    others = {"id": "a", "label": "能否调光", "task": "intent"}, {"id": "b", "label": "支付页面", "task": None}
    path = file_of(tmp_path, {"id": "a", "label": "退款页面"}, *others)
    assert read_recorded(path, TASK).answers == {"a": 1, "b": 0}


def test_answers_that_are_no_label_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = file_of(
        tmp_path,
        {"id": "a", "label": "退款页面"},
        {"id": "b", "label": "退款"},
        {"id": "c", "label": None},
        {"id": "d", "label": ""},
    )
    with caplog.at_level(logging.WARNING):
        answers = read_recorded(path, TASK).answers
    assert answers == {"a": 1, "b": NO_ANSWER, "c": NO_ANSWER, "d": NO_ANSWER}
    assert "3 of 4 answers are no label of scene and count as no answer (line 2: '退款')" in caplog.text


def test_probabilities_are_over_the_labels_of_the_task(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = file_of(
        tmp_path,
        {"id": "a", "label": "退款页面", "probabilities": {"退款页面": 0.6, "退货页面": 0.2, "聊天页面": 0.2}},
        {"id": "b", "label": "退款页面", "probabilities": {"聊天页面": 1.0}},
    )
    with caplog.at_level(logging.WARNING):
        probabilities = read_recorded(path, TASK).probabilities
    assert list(probabilities) == ["a"]
    np.testing.assert_allclose(probabilities["a"], [0, 0.75, 0.25])
    assert "2 records give probabilities to labels that scene does not have" in caplog.text


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"id": "a"}], r"line 1: not a prediction; expected"),
        ([{"label": "退款页面"}], r"line 1: not a prediction; expected"),
        ([{"id": "a", "label": 3}], r"line 1: not a prediction; expected"),
        ([{"id": True, "label": "退款页面"}], r"line 1: not a prediction; expected"),
        ([{"id": "a", "label": "退款页面"}] * 2, r"line 2: id 'a' is predicted twice; keep one line an id"),
        ([{"id": "a", "label": "猫"}], r"none of its 1 answers \(line 1: '猫'\) is a label of scene; its labels"),
        ([], r"holds no predictions for scene; expected lines like"),
        ([{"id": "a", "label": "x", "task": "intent"}], r"holds no predictions for scene"),
        ([[1]], r"line 1: .*is not a JSON object"),
        ([{"id": "a", "label": "退款页面", "probabilities": [1]}], r"line 1: probabilities is \[1\]; it must be like"),
        ([{"id": "a", "label": "退款页面", "probabilities": {"退款页面": 2}}], r"'退款页面' is 2; it must be"),
        ([{"id": "a", "label": "退款页面", "probabilities": {"退款页面": float("nan")}}], r"is nan; it must"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(tmp_path: Path, records: list[object], message: str):
    with pytest.raises(KdslError, match=message):
        read_recorded(file_of(tmp_path, *records), TASK)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(KdslError, match=r"none\.jsonl: no such file"):
        read_recorded(tmp_path / "none.jsonl", TASK)


# Calibration


def test_an_answer_that_is_mostly_wrong_in_one_way_is_put_right():
    answers = [0] * 10 + [1] * 10 + [1] * 10
    labels = [0] * 10 + [1] * 2 + [2] * 8 + [1] * 1 + [2] * 9
    probabilities = fit(recorded(answers), labels).predict(table_of(["0", "15"])).probabilities
    assert probabilities.argmax(axis=1).tolist() == [0, 2]


def test_confidence_is_about_the_share_of_right_answers():
    labels = [0, 1, 2] * 40
    answers = [(label + (i % 5 == 0)) % 3 for i, label in enumerate(labels)]
    confidence = fit(recorded(answers), labels).predict(table_of(["0", "1", "2"])).probabilities.max(axis=1)
    np.testing.assert_allclose(confidence, 0.8, atol=0.05)


def test_answers_that_have_nothing_to_do_with_the_labels_say_little():
    random = np.random.default_rng(0)
    classifier = fit(recorded(random.integers(3, size=600).tolist()), random.integers(3, size=600).tolist())
    probabilities = classifier.predict(table_of([str(i) for i in range(600)])).probabilities
    np.testing.assert_allclose(probabilities, 1 / 3, atol=0.08)


def test_samples_without_an_answer_get_the_share_of_each_label():
    classifier = fit(recorded([0, 1, 2, 0, NO_ANSWER]), [0, 1, 2, 0, 0])
    first, second = classifier.predict(table_of(["elsewhere", "4"])).probabilities
    assert first.tolist() == second.tolist()
    np.testing.assert_allclose(first, np.array([3.5, 1.5, 1.5]) / 6.5)


def test_recorded_probabilities_tell_sure_answers_from_unsure_ones():
    # The answer is always 0. Half of the answers are sure and all right, half are unsure and right every other time.
    labels = [0, 0, 0, 1] * 10
    sure, unsure = np.array([0.9, 0.1, 0.0]), np.array([0.5, 0.5, 0.0])
    given = {str(i): sure if i % 4 < 2 else unsure for i in range(40)}
    probabilities = fit(recorded([0] * 40, given), labels).predict(table_of(["0", "2"])).probabilities
    assert probabilities[0, 0] > 0.9
    assert 0.4 < probabilities[1, 0] < 0.75


def test_predictions_for_other_samples_are_an_error():
    with pytest.raises(
        KdslError, match=r"p\.jsonl: predictions for other samples: .*\(like 'x'\).*\(like '0'\); give the file"
    ):
        RecordedTrainer(recorded([0, 1])).fit(table_of(["x", "y"]), np.array([0, 1]), 3)


def test_no_samples_to_calibrate_on_is_an_error():
    with pytest.raises(KdslError, match="no labelled samples to calibrate the predictions on"):
        fit(recorded([0, 1]), [])


pairs = st.lists(st.tuples(st.integers(NO_ANSWER, 2), st.integers(0, 2)), min_size=1, max_size=40)
probability_rows = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda row: sum(row) > 1e-3)


@settings(max_examples=40)  # each is slow
@given(pairs, st.lists(probability_rows, max_size=5))
def test_every_row_is_a_distribution(pairs: list[tuple[int, int]], rows: list[list[float]]):
    given = {str(i): np.array(row) / sum(row) for i, row in enumerate(rows) if i < len(pairs)}
    classifier = fit(recorded([answer for answer, _ in pairs], given), [label for _, label in pairs])
    probabilities = classifier.predict(table_of([str(i) for i in range(len(pairs) + 1)])).probabilities
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@given(st.lists(st.integers(8, 20), min_size=3, max_size=3), st.lists(st.integers(0, 1), min_size=3, max_size=3))
def test_the_recorded_label_stays_most_probable_where_it_is_mostly_right(right: list[int], wrong: list[int]):
    answers, labels = [], []
    for label in range(3):
        answers += [label] * (right[label] + wrong[label])
        labels += [label] * right[label] + [(label + 1) % 3] * wrong[label]
    probabilities = (
        fit(recorded(answers), labels).predict(table_of([str(i) for i in range(len(labels))])).probabilities
    )
    assert probabilities.argmax(axis=1).tolist() == answers


def test_out_of_fold_calibration_is_more_likely_than_certainty_at_the_overall_accuracy():
    random = np.random.default_rng(1)
    labels = random.integers(3, size=200)
    answers = np.where((random.random(200) < 0.6) | (labels == 0), labels, 3 - labels)  # 1 and 2 are mixed up
    table, folds = table_of([str(i) for i in range(200)]), np.arange(200) % 5
    probabilities = out_of_fold(RecordedTrainer(recorded(answers.tolist())), table, labels, 3, folds)
    accuracy = (answers == labels).mean()
    flat = np.where(np.arange(3) == answers[:, None], accuracy, (1 - accuracy) / 2)
    rows = np.arange(200), labels
    assert np.log(probabilities[rows]).mean() > np.log(flat[rows]).mean() + 0.1


# Files


def test_a_saved_calibration_is_the_same_one(tmp_path: Path):
    given = {"0": np.array([0.5, 0.25, 0.25]), "1": np.array([0.1, 0.8, 0.1])}
    record = recorded([0, 1, 2, 0, NO_ANSWER], given)
    classifier = fit(record, [0, 1, 2, 1, 0])
    classifier.save(tmp_path)
    table = table_of(["0", "1", "2", "3", "4", "5"])
    loaded = RecordedClassifier.load(tmp_path, record)
    assert (loaded.predict(table).probabilities == classifier.predict(table).probabilities).all()


def test_a_calibration_serves_samples_recorded_later(tmp_path: Path):
    fit(recorded([0, 1, 2] * 5), [0, 1, 2] * 5).save(tmp_path)
    later = Recorded(Path("q.jsonl"), TASK.label_names, {"new": 2}, {})
    assert RecordedClassifier.load(tmp_path, later).predict(table_of(["new"])).probabilities.argmax() == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "recorded.json: no such file"),
        ('{"version": 1, "lab', "recorded.json, line 1, column .*: not valid JSON"),
        ("[]", r"recorded.json: damaged or not a calibration .*call project\.train\(\) again"),
        ('{"version": 9}', r"recorded.json: version 9, this KDSL reads version 1; call project\.train\(\) again"),
        ('{"version": 1, "labels": ["猫"]}', "recorded.json: made for other labels than the task has now"),
        (
            '{"version": 1, "labels": ["支付页面", "退款页面", "退货页面"], "counts": [[1]], "totals": [1]}',
            "recorded.json: damaged or not a calibration",
        ),
    ],
)
def test_a_wrong_calibration_file_is_one_sentence(tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "recorded.json").write_text(content, encoding="utf-8")
    with pytest.raises(KdslError, match=message):
        RecordedClassifier.load(tmp_path, recorded([0]))


def test_what_was_answered_stands_beside_the_probabilities():
    trained = fit(recorded([0, 1, 2, NO_ANSWER]), [0, 1, 2, 0])
    said = trained.predict(table_of(["1", "3", "elsewhere"]))
    assert said.answered.tolist() == [True, False, False]
    assert said.costs is None and said.reasons is None
