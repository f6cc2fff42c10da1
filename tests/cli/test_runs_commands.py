"""kdsl evaluate --against and kdsl history: every evaluation is kept, and two of them stand side by side."""

import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from small_shop import dialogues, read, write, write_project

from kdsl.evaluate.runs import read_run, read_runs


@pytest.fixture
def shop(tmp_path) -> Path:
    """A project with a test set and predictions of it, of which every third is wrong; nothing is trained."""
    folder = write_project(tmp_path / "project")
    predict(folder, "right.jsonl", wrong_every=0)
    predict(folder, "wrong.jsonl", wrong_every=3)
    return folder


def predict(folder: Path, name: str, wrong_every: int) -> None:
    labels = ["调光", "材质", "物流"]
    records = []
    for index, sample in enumerate(read(folder / "test.jsonl")):
        wrong = wrong_every and index % wrong_every == 0
        label = labels[(labels.index(sample["label"]) + 1) % 3] if wrong else sample["label"]
        records.append(
            {
                "id": sample["id"],
                "task": "shop",
                "label": label,
                "probabilities": {each: 0.8 if each == label else 0.1 for each in labels},
                "model": {"label": label, "probability": 0.8},
                "rules": [],
                "decision": {"by": "model", "label_without_rules": label, "reason": f"the model says {label} (0.80)"},
            }
        )
    write(folder / name, records)


def evaluate(kdsl, shop, predictions, *options):
    return kdsl("evaluate", shop, "--predictions", shop / predictions, "--truth", shop / "test.jsonl", *options)


def runs(shop) -> list[Path]:
    """The folders, the oldest first: several may be of one second."""
    return [run.folder for run in read_runs(shop / "runs")[0]]


def test_an_evaluation_is_kept_with_what_it_depended_on_and_no_text_of_a_sample(kdsl, shop):
    assert evaluate(kdsl, shop, "wrong.jsonl", "seed=7").code == 0
    [folder] = runs(shop)
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["samples"]["name"] == "test.jsonl" and record["samples"]["kind"] == "test"
    assert (record["config"]["seed"], record["config"]["mining.iterations"]) == (7, 60)
    assert record["config"]["data.train"] == "train.jsonl" and record["config"]["checkpoint"] == "checkpoints/run"
    assert set(record["files"]) == {"data.train", "tasks", "predictions"}
    assert record["versions"]["kdsl"] and record["scores"][0]["both"]["accuracy"]["value"] == pytest.approx(2 / 3)
    kept = read_run(folder).predictions
    assert [each.id for each in kept] == [sample["id"] for sample in read(shop / "test.jsonl")]
    assert kept[0].reason == f"the model says {kept[0].label} (0.80)"
    texts = [sample["turns"][0]["text"] for sample in read(shop / "test.jsonl")]
    content = json.dumps([each.model_dump() for each in kept], ensure_ascii=False)
    assert not any(text[:10] in content for text in texts)


def test_the_last_run_of_the_same_samples_is_compared_with(kdsl, shop):
    assert evaluate(kdsl, shop, "wrong.jsonl").code == 0
    result = evaluate(kdsl, shop, "right.jsonl", "--against", "last")
    assert result.code == 0
    old, new = (folder.name[-6:] for folder in runs(shop))
    assert re.search(rf"Run {new} \([-\d]+ [\d:]+, test\.jsonl\)\nagainst {old} ", result.out)
    assert "predictions: other content" in result.out
    assert re.search(r"15 samples: 5 gained, 0 lost, p = 0\.0625", result.out)
    assert re.search(r"accuracy +0\.667 +1\.000 +\+0\.333 \[\+0\.\d{3}, \+0\.\d{3}\]", result.out)
    assert "wrong to right, 5 samples" in result.out and "right to wrong" not in result.out
    first = read(shop / "test.jsonl")[0]
    assert f"{first['id']} is 调光\n  was 材质 (0.80): the model says 材质 (0.80)\n  now 调光 (0.80): " in result.out
    page = shop / "right-evaluation" / "comparison.html"
    assert f"All that changed is in {page}." in result.err and first["id"] in page.read_text("utf-8")


@pytest.mark.parametrize("command", [("evaluate", "--against", "last"), ("history",)])
def test_every_line_fits_80_columns(kdsl, shop, monkeypatch, command):
    evaluate(kdsl, shop, "wrong.jsonl")
    evaluate(kdsl, shop, "right.jsonl")
    monkeypatch.setenv("COLUMNS", "80")
    name, *options = command
    assert max(cell_len(line) for line in kdsl(name, shop, *options).out.splitlines()) <= 80


def test_json_holds_both_runs_and_every_sample_that_changed(kdsl, shop):
    evaluate(kdsl, shop, "wrong.jsonl")
    found = json.loads(evaluate(kdsl, shop, "right.jsonl", "--against", "last", "--format", "json").out)
    assert [found["old"]["id"], found["new"]["id"]] == [folder.name[-6:] for folder in runs(shop)]
    [task] = found["tasks"]
    assert (task["gained"], task["lost"], len(task["changes"])) == (5, 0, 5)
    change = task["changes"][0]
    assert (change["kind"], change["truth"], change["new"]["label"]) == ("wrong to right", "调光", "调光")
    assert change["old"]["reason"] == "the model says 材质 (0.80)"
    assert {"what": "predictions", "how": "other content", "count": None} in found["changed"]


def test_two_kept_runs_are_compared_without_predicting_anything(kdsl, shop):
    for name in ("wrong.jsonl", "right.jsonl", "wrong.jsonl"):
        evaluate(kdsl, shop, name)
    first, second, third = runs(shop)
    last = kdsl("evaluate", shop, "--against", "last", "--format", "json")
    ids = [json.loads(last.out)[side]["id"] for side in ("old", "new")]
    assert ids == [second.name[-6:], third.name[-6:]]
    assert "checkpoints/run/evaluation/comparison/comparison.html" in last.err
    named = json.loads(kdsl("evaluate", shop, "--against", first.name[-6:], "--format", "json").out)
    assert (named["new"]["id"], named["tasks"][0]["changes"]) == (third.name[-6:], [])
    both = kdsl("evaluate", shop, "--run", second.name, "--against", first, "--format", "json")
    assert [task["gained"] for task in json.loads(both.out)["tasks"]] == [5]
    assert len(runs(shop)) == 3


def test_a_file_of_predictions_is_compared_with(kdsl, shop):
    result = evaluate(kdsl, shop, "right.jsonl", "--against", shop / "wrong.jsonl")
    assert result.code == 0 and "15 samples: 5 gained, 0 lost" in result.out
    assert f"against {shop / 'wrong.jsonl'}" in result.out


def test_what_cannot_be_compared_is_told_before_anything_is_measured(kdsl, shop):
    none = evaluate(kdsl, shop, "wrong.jsonl", "--against", "last")
    assert (none.code, none.out) == (2, "") and "no run of test.jsonl is kept yet" in none.err
    unknown = evaluate(kdsl, shop, "wrong.jsonl", "--against", "zzz")
    assert unknown.code == 2 and "no evaluation is kept there yet" in unknown.err
    assert not (shop / "runs").exists() and not (shop / "wrong-evaluation").exists()
    evaluate(kdsl, shop, "wrong.jsonl")
    [only] = runs(shop)
    alone = kdsl("evaluate", shop, "--against", "last")
    assert alone.code == 2 and f"{only}: no older run of test.jsonl is kept" in alone.err
    newest = kdsl("evaluate", shop, "--against", only.name)
    assert newest.code == 2 and f"{only}: no newer run of test.jsonl is kept; evaluate again" in newest.err
    without = kdsl("evaluate", shop, "--run", "last")
    assert (
        without.code == 2 and "--run RUN names one of two runs; name the other one with --against RUN" in without.err
    )


def test_history_tells_what_changed_and_the_plot_lies_in_runs(kdsl, shop):
    assert "No evaluation is kept yet" in kdsl("history", shop).err
    evaluate(kdsl, shop, "wrong.jsonl")
    evaluate(kdsl, shop, "wrong.jsonl", "seed=3")
    write(shop / "corrections.jsonl", read(shop / "test.jsonl")[:6])
    predictions = shop / "some.jsonl"
    write(predictions, read(shop / "right.jsonl")[:6])
    kdsl("evaluate", shop, "--predictions", predictions, "--truth", shop / "corrections.jsonl")
    result = kdsl("history", shop)
    assert result.code == 0
    tests, feedback = result.out.split("\ncorrections.jsonl")
    assert tests.startswith("test.jsonl") and len(re.findall(r"0\.556 \[", tests)) == 2
    assert "first run" in tests and "seed: 0 → 3" in tests
    assert "1.000 [1.000, 1.000]" in feedback
    assert f"The plot is in {shop / 'runs' / 'history.png'}." in result.err
    assert (shop / "runs" / "history.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads(kdsl("history", shop, "--format", "json", "--output", shop / "h.png").out)
    assert [row["samples"]["name"] for row in rows] == ["test.jsonl", "test.jsonl", "corrections.jsonl"]
    assert (shop / "h.png").exists()


def test_a_damaged_run_is_a_warning_of_history(kdsl, shop, caplog):
    for _ in range(2):
        evaluate(kdsl, shop, "wrong.jsonl")
    damaged = runs(shop)[0] / "run.json"
    damaged.write_text("{", "utf-8")
    result = kdsl("history", shop)
    assert result.code == 0 and f"{damaged}, line 1, column 2: not valid JSON" in caplog.text
    assert result.out.count("0.556 [") == 1


def test_a_project_as_trained_is_evaluated_on_any_file(kdsl, tmp_path, caplog):
    project = write_project(tmp_path / "project")
    feedback = write(project / "反馈.jsonl", dialogues(12, 5, "f"))
    untrained = kdsl("evaluate", project, "--test", project / "nothing.jsonl")
    assert untrained.code == 2 and "nothing.jsonl: no such file" in untrained.err
    assert kdsl("run", project, "--workers", 1).code == 0
    [first] = runs(project)
    kept = json.loads((first / "run.json").read_text("utf-8"))
    assert kept["samples"]["name"] == "test.jsonl" and list(kept["state"]["trained"]) == ["shop"]
    assert kdsl("run", project, "--workers", 1).code == 0
    assert runs(project) == [first], "nothing was evaluated again"
    result = kdsl("evaluate", project, "--test", feedback)
    assert result.code == 0 and "12 samples" in result.out
    assert (project / "checkpoints/run/evaluation/test-反馈/report.json").exists()
    again = kdsl("evaluate", project, "--test", feedback, "--against", "last")
    assert again.code == 0 and "12 samples: 0 gained, 0 lost, p = 1" in again.out
    names = [json.loads((each / "run.json").read_text("utf-8"))["samples"]["name"] for each in runs(project)]
    assert sorted(names) == ["test.jsonl", "反馈.jsonl", "反馈.jsonl"]
    assert "trained on" not in caplog.text
    assert kdsl("evaluate", project, "--test", project / "train.jsonl").code == 0
    assert "train.jsonl: holds the samples that the project was trained on" in caplog.text
    write(feedback, [*dialogues(2, 5, "f"), {"id": "x", "text": "?"}])
    unlabelled = kdsl("evaluate", project, "--test", feedback)
    assert unlabelled.code == 2 and "1 of 3 samples have no label" in unlabelled.err


def test_cross_validation_is_kept_as_a_series_of_its_own(kdsl, tmp_path):
    project = write_project(tmp_path / "project")
    options = ("mining.iterations=5", "--cross-validate", 2, "--workers", 1)
    assert kdsl("evaluate", project, *options).code == 0
    [folder] = runs(project)
    samples = json.loads((folder / "run.json").read_text("utf-8"))["samples"]
    assert (samples["kind"], samples["name"], samples["folds"]) == ("cross-validation", "train.jsonl", 2)
    assert kdsl("evaluate", project, *options, "--against", "last").code == 0
    assert "train.jsonl, 2 folds" in kdsl("history", project).out
