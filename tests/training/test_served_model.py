"""A large model behind a server: nothing is trained, and the limits hold."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

import tiny_qwen2vl
from model_server import RunningServer, model_server
from tiny_project import SMALL, read, write, write_project, write_two_tasks

from kdsl.project.project import Project


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    with model_server(tiny_model) as running:
        yield running


@pytest.fixture
def project(server: RunningServer, tmp_path: Path, kdsl) -> Path:
    server.become()
    folder = write_project(tmp_path / "project", server.url, n=16, extra=SMALL)
    assert kdsl("mine", folder).code == 0
    return folder


def train_and_predict(kdsl, project: Path, *options: str) -> tuple[dict, list[dict]]:
    trained = kdsl("train", project, "--format", "json", *options)
    assert trained.code == 0, trained.err
    output = project / "p.jsonl"
    result = kdsl("predict", project, "--input", project / "test.jsonl", "--output", output, *options)
    assert result.code == 0, result.err
    return json.loads(trained.out)[0], read(output)


def test_one_constrained_answer_a_sample_is_calibrated_on_training_samples(kdsl, project, server):
    """The model has every colour wrong, in the same way each time: what its answers are worth is learned."""
    arbiter, records = train_and_predict(kdsl, project)
    assert arbiter["samples"] == 16
    assert {(record["cost"]["calls"], record["cost"]["tokens"] <= 100) for record in records} == {(1, True)}
    truth = [record["label"] for record in read(project / "test.jsonl")]
    assert [record["model"]["label"] for record in records] == truth
    asked = [request["body"] for request in server.requests() if "messages" in request["body"]]
    choices = [body["structured_outputs"]["choice"] for body in asked if "structured_outputs" in body]
    assert choices[-1] == list(tiny_qwen2vl.LABELS)


def test_answers_about_training_samples_are_asked_for_once(kdsl, project, server):
    kdsl("train", project)
    before = len(server.requests())
    kdsl("train", project)
    assert len(server.requests()) - before < 16


def test_without_limits_every_label_is_scored(kdsl, project):
    arbiter, records = train_and_predict(kdsl, project, "limits.calls=null", "limits.tokens=null")
    assert arbiter["model"]["weighted_f1"] < 0.1
    assert {record["cost"]["calls"] for record in records} == {4}


def test_a_server_that_cannot_constrain_answers_is_still_asked_once_a_sample(kdsl, project, server):
    server.become(constraint=None)
    _, records = train_and_predict(kdsl, project)
    assert {record["cost"]["calls"] for record in records} == {1}


def test_limits_too_low_for_any_answer_are_told(kdsl, project):
    kdsl("train", project)
    output = project / "p.jsonl"
    result = kdsl(
        "predict", project, "--input", project / "test.jsonl", "--output", output, "limits.tokens=2"
    )  # fmt: skip
    assert result.code == 2
    assert "would exceed `limits: {calls: 3, tokens: 2}`" in result.err


def test_one_sample_may_be_predicted_again_and_again(kdsl, project):
    """In a process that stays, each decision has the limits for itself: the fourth call once was one too many."""
    assert kdsl("train", project).code == 0
    opened = Project.open(project)
    asked = read(project / "test.jsonl")[0]
    assert len({opened.predict(asked)[0].label for _ in range(5)}) == 1


def test_samples_of_two_tasks_with_one_id_have_each_its_own_limits(kdsl, tmp_path, server):
    """One call a sample: a call for one task once refused the sample of the other that has the same id."""
    server.become()
    folder = write_two_tasks(tmp_path / "two", server.url, extra=SMALL + "limits: {calls: 1}\n")
    for split, most in (("train", 8), ("test", 4)):
        records = read(folder / f"{split}.jsonl")
        tasks = [[record for record in records if record["task"] == task][:most] for task in ("shop", "wish")]
        write(folder / f"{split}.jsonl", [{**r, "id": str(i)} for of_task in tasks for i, r in enumerate(of_task)])
    assert kdsl("mine", folder, "mining.iterations=10").code == 0
    _, records = train_and_predict(kdsl, folder)
    assert [(record["task"], record["id"]) for record in records] == [
        (t, str(i)) for t in ("shop", "wish") for i in range(4)
    ]
    assert {record["cost"]["calls"] for record in records} == {1}
