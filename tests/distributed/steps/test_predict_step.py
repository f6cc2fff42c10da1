"""Predictions over shards: the records of kdsl predict on one file, and single samples that cannot be predicted."""

import shutil
from pathlib import Path

import pytest
from small_shop import dialogues, read, write, write_project

from kdsl.arbiter.stream import Mode
from kdsl.data.sample_file import SampleFile
from kdsl.distributed.results import Results
from kdsl.distributed.running import Outcome, in_processes, run_over_shards
from kdsl.distributed.steps.predict import Predict
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError
from kdsl.project.evaluation import evaluate_predictions
from kdsl.project.prediction import predict_file
from kdsl.project.project import Project
from kdsl.result_shards import records_at
from kdsl.sample import Sample, Turn


def run(project: Project, input: Path, output: Path, *tasks: str) -> Outcome:
    step = Predict(tasks or tuple(task.name for task in project.tasks), batch=8)
    return run_over_shards(project, step, str(input), str(output), in_processes(1))


def records(path: Path) -> list[dict]:
    return [record for _, record in records_at(path)]


@pytest.fixture(scope="module")
def predicted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test samples in two shards, and their results."""
    folder = tmp_path_factory.mktemp("predicted")
    samples = read(trained / "test.jsonl")
    for name, part in (("a", samples[:9]), ("b", samples[9:])):
        (folder / "in").mkdir(exist_ok=True)
        write(folder / "in" / f"{name}.jsonl", part)
    run(Project.open(trained), folder / "in", folder / "out")
    return folder


def test_the_records_are_those_of_one_file(trained, predicted, tmp_path):
    predict_file(Project.open(trained), [SampleFile(trained / "test.jsonl")], tmp_path / "p.jsonl", 256, Mode.again)
    assert records(predicted / "out") == read(tmp_path / "p.jsonl")
    assert any(rule["evidence"] for record in records(predicted / "out") for rule in record["rules"])


def test_they_are_evaluated_like_a_file(trained, predicted, tmp_path):
    project, truth = Project.open(trained), trained / "test.jsonl"
    write(tmp_path / "p.jsonl", records(predicted / "out"))
    of_file = evaluate_predictions(project, tmp_path / "p.jsonl", truth, tmp_path / "file")
    of_shards = evaluate_predictions(project, predicted / "out", truth, tmp_path / "shards")
    assert of_shards.summary.record() == of_file.summary.record()


def test_samples_of_a_task_that_was_not_trained_are_problems(trained, tmp_path):
    project = Path(shutil.copytree(trained, tmp_path / "project"))
    (project / "other.yaml").write_text("name: other\nlabels: [{name: a}, {name: b}]\n", "utf-8")
    config = (project / "kdsl.yaml").read_text("utf-8").replace("[task.yaml]", "[task.yaml, other.yaml]")
    (project / "kdsl.yaml").write_text(config, "utf-8")
    of_other = [{**each, "id": each["id"] + "o", "task": "other", "label": "a"} for each in dialogues(4, 0)]
    write(project / "train.jsonl", [{"task": "shop", **each} for each in read(project / "train.jsonl")] + of_other)
    (tmp_path / "in").mkdir()
    some = [{**each, "task": task} for each, task in zip(dialogues(3, 4), ("other", "shop", "other"), strict=True)]
    write(tmp_path / "in" / "a.jsonl", [{key: each[key] for key in ("id", "task", "turns")} for each in some])
    outcome = run(Project.open(project), tmp_path / "in", tmp_path / "out")
    assert [record["id"] for record in records(tmp_path / "out")] == [some[1]["id"]]
    errors = Results(Storage(str(tmp_path / "out"))).errors()
    assert errors is not None and outcome.problems == 2
    assert {(row["id"], row["message"]) for row in errors.to_pylist()} == {
        (some[number]["id"], "task other was not trained") for number in (0, 2)
    }


def test_what_fails_for_single_samples_is_theirs_and_what_fails_for_all_stops(trained, monkeypatch):
    project = Project.open(trained)
    worker = Predict(("shop",)).open(project)
    decide = worker.predictor.predictor.decide

    def failing(samples):
        if any("bad" in sample.id for sample in samples):
            raise KdslError("cannot be decided: leave it out")
        return decide(samples)

    monkeypatch.setattr(worker.predictor.predictor, "decide", failing)
    good, bad = [Sample(name, "shop", (Turn("user", "亮度"),)) for name in ("good", "bad")]
    with pytest.raises(KdslError, match="cannot be decided"):
        worker.work([bad])  # the first thing that happens: nothing says that others could be
    worked = worker.work([bad, good])
    assert [record["id"] for record in worked.records] == ["good"]
    assert [(each.id, each.message) for each in worked.problems] == [("bad", "cannot be decided: leave it out")]
    assert worker.work([bad]).records == []
    with pytest.raises(KdslError, match="cannot be decided"):
        worker.work([bad] * 16)
    worker.close()


def test_a_project_that_was_not_trained_is_refused(tmp_path):
    project = Project.open(write_project(tmp_path / "project"))
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.jsonl", dialogues(1, 3))
    with pytest.raises(KdslError, match=r"none of the project's tasks was trained; .*train"):
        run(project, tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
