"""kdsl run: the whole chain once, and after that only what is not up to date."""

import json
import re
import shutil
from pathlib import Path

import pytest
from small_shop import dialogues, read, write, write_project

STEPS = ("check", "ocr", "mine", "train", "evaluate")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A project after a first kdsl run; tests take copies, which changes no input but the place."""
    from kdsl.project.project import Project
    from kdsl.project.steps import Pipeline

    folder = write_project(tmp_path_factory.mktemp("run") / "project")
    pipeline = Pipeline(Project.open(folder), 1, lambda line: None)
    for step in STEPS:
        getattr(pipeline, step)()
    return folder


def done(result) -> list[str]:
    """The steps that were worked on."""
    return [step for step in STEPS if f"{step} …" in result.err]


def test_a_second_run_does_nothing_and_prints_the_same_table(kdsl, finished):
    first = kdsl("run", finished, "--workers", 1)
    again = kdsl("run", finished, "--workers", 1)
    assert (again.code, done(again)) == (0, [])
    assert again.out == first.out
    for part in ("weighted F1", "model alone", "both", f"rules        {finished / 'rules'}", "predictions.jsonl"):
        assert part in again.out
    assert again.out.count("weighted F1") == 1


def test_reviewing_a_rule_trains_again_and_mines_nothing(kdsl, finished):
    kdsl("run", finished, "--workers", 1)
    path = next((finished / "rules").rglob("*.yaml"))
    text = path.read_text("utf-8")
    path.write_text(text.replace("status: proposed", "status: rejected"), "utf-8")
    assert done(kdsl("run", finished, "--workers", 1)) == ["train", "evaluate"]
    path.write_text(text, "utf-8")
    assert done(kdsl("run", finished, "--workers", 1)) == ["train", "evaluate"]


@pytest.mark.parametrize("change", ["augment.copies=1", "prompt.neighbours=2", "prompt.ocr=true"])
def test_what_feeds_the_classifier_trains_again_and_mines_nothing(kdsl, finished, tmp_path, change):
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    kdsl("run", project, "--workers", 1)
    made = kdsl("run", project, change, "--workers", 1)
    assert done(made) == ["train", "evaluate"]
    assert "train: shop: the model goes by " in made.err
    assert done(kdsl("run", project, change, "--workers", 1)) == []


def test_what_another_command_left_by_other_settings_is_made_again(kdsl, finished, tmp_path):
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    kdsl("run", project, "--workers", 1)
    trained = (project / "checkpoints/run/shop/linear.npz").read_bytes()
    assert kdsl("train", project, "augment.copies=1").code == 0
    assert done(kdsl("run", project, "--workers", 1)) == ["train"]
    assert (project / "checkpoints/run/shop/linear.npz").read_bytes() == trained


def test_new_test_samples_are_only_checked_and_predicted(kdsl, finished, tmp_path):
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    kdsl("run", project, "--workers", 1)
    write(project / "test.jsonl", dialogues(9, 5, "u"))
    assert done(kdsl("run", project, "--workers", 1)) == ["check", "evaluate"]
    assert len(read(project / "checkpoints/run/predictions.jsonl")) == 9


def test_what_is_lost_is_made_again(kdsl, finished, tmp_path):
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    kdsl("run", project, "--workers", 1)
    (project / "checkpoints/run/shop/arbiter.json").unlink()
    (project / "checkpoints/run/run.json").write_text("[torn")
    result = kdsl("run", project, "--workers", 1)
    assert (result.code, done(result)) == (0, list(STEPS))


def test_findings_are_shown_and_do_not_stop_the_run(kdsl, finished, tmp_path):
    project = Path(shutil.copytree(finished, tmp_path / "project"))
    samples = read(project / "train.jsonl")
    write(project / "train.jsonl", [*samples, {**samples[0], "id": samples[1]["id"], "images": ["gone.png"]}])
    result = kdsl("run", project, "mining.iterations=5", "--workers", 1)
    assert result.code == 0
    assert "check: train: 1 ids stand for more than one sample" in result.err
    assert re.search(r"findings: \d+; `kdsl check` lists them in full", result.err)
    assert "ocr: 1 images" in result.err or "cannot be read" in result.err


def test_without_test_samples_the_training_samples_are_cross_validated(kdsl, tmp_path):
    project = write_project(tmp_path / "project")
    config = (project / "kdsl.yaml").read_text("utf-8")
    (project / "kdsl.yaml").write_text(config.replace(" test: test.jsonl,", ""), "utf-8")
    result = kdsl("run", project, "mining.iterations=5", "--workers", 1)
    assert result.code == 0
    assert "evaluate: cross-validation with 5 folds, as data.test is not set" in result.err
    assert "60 samples" in result.out
    report = json.loads((project / "checkpoints/run/evaluation/report.json").read_text("utf-8"))
    assert report["pooled"]["samples"] == 60


def test_samples_without_a_label_stop_the_run_with_a_sentence(kdsl, tmp_path):
    project = write_project(tmp_path / "project")
    write(project / "train.jsonl", [*dialogues(20, 0), {"id": "x", "text": "?"}])
    result = kdsl("run", project, "--workers", 1)
    assert result.code == 2
    assert "check: train shop: 1 samples have no label" in result.err
    assert "sample 'x' has the label None" in result.err


def test_a_file_that_is_cut_off_is_named(kdsl, tmp_path):
    project = write_project(tmp_path / "project")
    text = (project / "train.jsonl").read_text("utf-8")
    (project / "train.jsonl").write_text(text[:-20], "utf-8")
    result = kdsl("run", project)
    assert result.code == 2
    assert "train.jsonl, line 60: not valid JSON" in result.err


def test_evaluate_cross_validates_too(kdsl, tmp_path):
    project = write_project(tmp_path / "project")
    options = ("mining.iterations=5", "--cross-validate", 2, "--workers", 1, "--format", "json")
    result = kdsl("evaluate", project, *options)
    assert result.code == 0
    assert json.loads(result.out)["tasks"][0]["samples"] == 60
    assert (project / "checkpoints/run/cross-validation/report.json").exists()
    assert not (project / "rules").exists()
    refused = kdsl("evaluate", project, "--cross-validate", 2, "--truth", project / "test.jsonl")
    assert (refused.code, "an evaluation of its own; leave --truth out" in refused.err) == (
        2,
        True,
    )
