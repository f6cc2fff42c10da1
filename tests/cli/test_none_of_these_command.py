"""Commands in a project that names what belongs to no label."""

import csv
import json

import pytest
from small_shop import WORDS, read, write, write_project
from typer.testing import CliRunner

from kdsl.cli import application

OTHER = "其他"


def kdsl(*arguments: object):
    return CliRunner().invoke(application(), [*map(str, arguments)])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Run once; a fifth of the training samples is handed to people."""
    folder = write_project(tmp_path_factory.mktemp("shop"))
    with (folder / "task.yaml").open("a", encoding="utf-8") as file:
        file.write(f"other: {OTHER}\n")
    with (folder / "kdsl.yaml").open("a", encoding="utf-8") as file:
        file.write("abstain: {share: 0.2}\n")
    strange = [{"id": f"x{i}", "turns": [{"role": "user", "text": "吟诗作对"}], "label": OTHER} for i in range(4)]
    write(folder / "test.jsonl", [*read(folder / "test.jsonl"), *strange])
    result = kdsl("run", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_run_tells_other_and_evaluates_it(project):
    evaluation = project / "checkpoints" / "run" / "evaluation"
    report = json.loads((evaluation / "report.json").read_text("utf-8"))
    found = report["tasks"][0]["selective"]
    assert found["other"] == OTHER
    assert found["auroc"] > 0.9
    assert found["always"]["other_recall"] == 0.0
    assert {row["label"] for row in found["costs"]} == {*WORDS, OTHER}
    curve = json.loads((evaluation / "coverage-shop.json").read_text("utf-8"))
    assert curve["coverage"][-1] == 1.0 and len(curve["error"]) == len(curve["threshold"])
    assert (evaluation / "coverage-shop.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_without_a_label_are_read_wherever_predictions_are(project):
    predictions = project / "checkpoints" / "run" / "predictions.jsonl"
    records = read(predictions)
    over = [record for record in records if record["label"] is None]
    assert over and all(record["decision"]["by"] == "abstained" for record in over)
    result = kdsl("evaluate", project, "--predictions", predictions, "--truth", project / "test.jsonl")
    assert result.exit_code == 0, result.output
    assert "Deciding less: shop" in result.output and "handed to a person" in result.output


def test_a_submission_has_the_likeliest_label_of_what_was_handed_over(project, tmp_path):
    predictions = project / "checkpoints" / "run" / "predictions.jsonl"
    items = [{"id": record["id"]} for record in read(predictions)]
    (tmp_path / "test.json").write_text(json.dumps(items), encoding="utf-8")
    result = kdsl("convert", project, "--input", tmp_path / "test.json", "--predictions", predictions,
                  "--format", "submission", "--output", tmp_path / "s.csv")  # fmt: skip
    assert result.exit_code == 0, result.output
    with (tmp_path / "s.csv").open(encoding="utf-8-sig", newline="") as file:
        found = {row["id"]: row["predict"] for row in csv.DictReader(file)}
    for record in read(predictions):
        assert found[record["id"]] == (record["label"] or record["decision"]["label_if_decided"])


def test_another_threshold_needs_training(project):
    result = kdsl("predict", project, "abstain={error: 0.1}", "--text", "亮度")
    assert result.exit_code == 2
    assert "trained with another `abstain:` than kdsl.yaml has now" in result.output


def test_labels_that_are_not_listed_are_told_before_anything_is_done(tmp_path):
    folder = write_project(tmp_path / "shop")
    strange = {"id": "x", "turns": [{"role": "user", "text": "吟诗"}], "label": "闲聊"}
    write(folder / "test.jsonl", [*read(folder / "test.jsonl"), strange])
    result = kdsl("run", folder)
    assert result.exit_code == 2
    assert "1 of 16 samples have a label that task shop does not list ('闲聊')" in result.output
    assert "unlisted: true" in result.output
    assert not (folder / "checkpoints" / "run" / "shop").exists() and not (folder / "rules").exists()


def test_no_sample_of_other_is_no_finding(project):
    assert "fewer than" not in kdsl("check", project).output
