"""The command line on a project without a labelled sample."""

import json
from pathlib import Path

import pytest
from concept_encoder import ConceptEncoder

from kdsl.data.checks import NO_LABELS

LABELS = "  - {name: 退款, description: 咨询退款}\n  - {name: 物流, description: 咨询物流}\n"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("kdsl.embeddings.load.load_encoder", lambda name, consent: ConceptEncoder(name))
    (tmp_path / "task.yaml").write_text(f"name: shop\nlabels:\n{LABELS}", "utf-8")
    (tmp_path / "kdsl.yaml").write_text("tasks: [task.yaml]\nencoder: use\n", "utf-8")
    return tmp_path


def test_a_text_is_predicted_by_meaning_at_once(kdsl, project, caplog):
    result = kdsl("predict", project, "--text", "refund please")
    assert result.code == 0, result.err
    assert "nearest label description: 退款" in result.out
    assert "退款 decided by the model: the model says 退款" in result.out
    assert "by the labels' names and descriptions alone" in result.out
    assert caplog.messages == [f"shop: {NO_LABELS}"]


def test_a_file_is_predicted_and_explained(kdsl, project):
    asked = [{"id": "a", "text": "my parcel"}, {"id": "b", "text": "refund please"}]
    (project / "new.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked), "utf-8")
    result = kdsl("predict", project, "--input", project / "new.jsonl")
    assert [json.loads(line)["label"] for line in result.out.splitlines()] == ["物流", "退款"]
    assert all(
        "no labelled sample was there" in json.loads(each)["decision"]["reason"] for each in result.out.splitlines()
    )
    assert (
        "no labelled sample was there"
        in kdsl("predict", project, "--input", project / "new.jsonl", "--explain", "a").out
    )


def test_training_and_a_run_say_so(kdsl, project, caplog):
    trained = kdsl("train", project)
    assert trained.code == 0
    assert caplog.messages == [f"shop: {NO_LABELS}"]
    assert "shop: of the rules those count that people accepted." in trained.out
    run = kdsl("run", project)
    assert run.code == 0
    assert "mine: shop: no labelled samples to mine" in run.err
    assert "train: shop: goes by the names and descriptions of its labels" in run.err
    assert "evaluate: no labelled samples to measure by" in run.err
    assert "report" not in run.out


def test_checking_names_it_as_the_one_finding(kdsl, project):
    result = kdsl("check", project, "--format", "json")
    assert result.code == 1
    assert [finding["kind"] for finding in json.loads(result.out)["findings"]] == ["no-labels"]
    assert "label at least 5 samples of each" in " ".join(kdsl("check", project).out.split())


def test_another_encoder_than_in_training_is_one_sentence(kdsl, project):
    assert kdsl("train", project).code == 0
    result = kdsl("predict", project, "--text", "退款", "encoder=none")
    assert result.code == 2
    assert result.err == (
        "error: encoder: was use in training and is none now; set it back, or run `kdsl train` again\n"
    )
    assert kdsl("train", project, "encoder=none").code == 0
    assert kdsl("predict", project, "--text", "退款", "encoder=none").code == 0


def test_what_needs_labels_is_one_sentence(kdsl, project):
    result = kdsl("mine", project)
    assert result.code == 2
    assert (
        "kdsl.yaml: data.train is not set, and mining needs labelled samples; training and predicting go without"
        in result.err
    )
