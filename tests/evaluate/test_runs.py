"""Evaluations that are kept: written whole or not at all, found by name, read back as they were."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from kept_runs import LABELS, keep, task_result

from kdsl.errors import KdslError
from kdsl.evaluate import runs
from kdsl.evaluate.metrics import NO_PREDICTION
from kdsl.evaluate.multi_label import MultiOutcome
from kdsl.evaluate.predictions import Prediction
from kdsl.evaluate.report import MultiLabelResult, Why
from kdsl.evaluate.runs import find_run, prediction_of, read_run, read_runs


def test_a_run_is_read_back_as_it_was_kept(tmp_path):
    written = keep(tmp_path, [task_result([0, 1, 1, 1, NO_PREDICTION, 2])])
    assert written.folder.name == "2026-11-01-093000-000000"
    found = read_run(written.folder)
    assert found.record == written.record
    scores = found.record.scores[0].both
    assert scores.accuracy.value == pytest.approx(4 / 6)
    assert 0 <= scores.accuracy.low <= 4 / 6 <= scores.accuracy.high <= 1
    first, second, *_, none, _ = found.predictions
    assert (first.key, first.truth, first.label, first.model) == (("shop", "s0"), "调光", "调光", "调光")
    assert (second.truth, second.label, second.by, second.reason) == ("调光", "材质", "model", "why 1")
    assert second.rules[0].model_dump() == {"id": "r-aaaa", "label": "调光", "reliability": 0.9}
    assert second.probabilities == {"材质": 0.8, "调光": 0.1, "物流": 0.1}
    assert none.label is None


def test_only_the_likeliest_labels_and_the_heaviest_rules_are_kept(tmp_path):
    result = task_result([0, 1, 1, 1, 2, 2])
    why = (Why("rules", "x", 30 * result.why[0].rules),) * 6
    result = replace(result, why=why)
    kept = keep(tmp_path, [result]).predictions
    assert {len(each.rules) for each in kept} == {10}


def test_of_several_labels_a_sample_all_are_kept_none_being_no_missing_prediction(tmp_path):
    truth = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    said = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    probabilities = np.array([[0.9, 0.2, 0.1], [0.1, 0.3, 0.8], [0.1, 0.1, 0.2]])
    outcome = MultiOutcome(truth, said, probabilities)
    why = tuple(Why("model", f"why {row}") for row in range(3))
    run = keep(tmp_path, [MultiLabelResult("shop", LABELS, ("a", "b", "c"), outcome, outcome, outcome, why)])
    first, second, third = read_run(run.folder).predictions
    assert (first.truth, first.label, first.model, first.reason) == (("调光", "材质"), ("调光",), ("调光",), "why 0")
    assert first.probabilities == {"调光": 0.9, "材质": 0.2, "物流": 0.1} and first.confidence is None
    assert second.right_by(second.truth) and not first.right_by(first.truth)
    assert (third.truth, third.label, third.words) == ((), (), "no label") and third.right_by(())


def test_a_file_of_predictions_with_several_labels_is_read_like_a_run():
    line = {"id": "a", "task": "shop", "label": ["材质", "调光"], "model": {"label": []}}
    found = prediction_of(Prediction.model_validate(line), ("调光", "材质"))
    assert (found.label, found.model, found.words) == (("材质", "调光"), (), "材质 + 调光")
    assert found.right_by(found.truth)


def test_what_is_interrupted_is_no_run(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.os, "rename", fail)
    with pytest.raises(KdslError, match=r"2026-11-01-093000-000000: cannot be written .* free some space"):
        keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_kill_left_is_no_run(tmp_path):
    run = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])])
    run.folder.rename(tmp_path / f".{run.folder.name}")
    (tmp_path / "history.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert read_runs(tmp_path) == ([], [])
    assert read_runs(tmp_path / "nothing") == ([], [])


def test_runs_are_in_the_order_of_their_time(tmp_path):
    for number in (2, 0, 1):
        keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])], number)
    found, problems = read_runs(tmp_path)
    assert ([run.id for run in found], problems) == (["000000", "000001", "000002"], [])


def test_a_damaged_run_is_told_and_the_others_are_read(tmp_path):
    good, bad = (keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])], number) for number in (0, 1))
    record = json.loads((bad.folder / "run.json").read_text("utf-8"))
    (bad.folder / "run.json").write_text(json.dumps({**record, "at": "yesterday"}), "utf-8")
    found, [problem] = read_runs(tmp_path)
    assert [run.id for run in found] == [good.id]
    assert problem.startswith(f"{bad.folder / 'run.json'}: at: ") and "take the run's folder away" in problem
    (bad.folder / "run.json").write_text(json.dumps({**record, "version": 2}), "utf-8")
    assert "version 2, this KDSL reads version 1" in read_runs(tmp_path)[1][0]


def test_damaged_predictions_are_told_with_their_line(tmp_path):
    run = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2])])
    path = run.folder / "predictions.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines()
    path.write_bytes(gzip.compress(b"\n".join([lines[0], b'{"id": "s1"}'])))
    with pytest.raises(KdslError, match=r"predictions\.jsonl\.gz, line 2: task: Field required"):
        _ = run.predictions
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(KdslError, match="cannot be unpacked"):
        _ = read_run(run.folder).predictions
    path.unlink()
    with pytest.raises(KdslError, match="no such file"):
        _ = read_run(run.folder).predictions


def test_a_run_is_named_by_the_beginning_of_its_id_or_folder_or_as_the_last(tmp_path):
    perfect = [task_result([0, 0, 1, 1, 2, 2])]
    for number, id in enumerate(("abc111", "abc222", "def333")):
        keep(tmp_path, perfect, number, id=id)
    found, _ = read_runs(tmp_path)
    assert find_run(found, "last", tmp_path).id == "def333"
    assert find_run(found, "d", tmp_path).id == "def333"
    assert find_run(found, "2026-11-01-10", tmp_path).id == "abc222"
    with pytest.raises(KdslError, match=r"'abc' begins the names of 2 runs: 2026-11-01-093000-abc111, .*222; write"):
        find_run(found, "abc", tmp_path)
    for name in ("x", ""):
        with pytest.raises(KdslError, match=rf"no run is called '{name}'; the newest are .*-abc111, .*-def333"):
            find_run(found, name, tmp_path)
    with pytest.raises(KdslError, match="no evaluation is kept there yet"):
        find_run([], "last", tmp_path)


def test_the_names_of_all_labels_are_kept_by_task(tmp_path):
    run = keep(tmp_path, [task_result([0, 0, 1, 1, 2, 2]), task_result([0, 0, 1, 1, 2, 0], task="other")])
    assert run.record.labels == {"shop": list(LABELS), "other": list(LABELS)}
    assert [scores.task for scores in run.record.scores] == ["shop", "other", "pooled"]
