"""kdsl train, predict and evaluate with large: neighbours, second opinions and cleaned OCR."""

import json
from pathlib import Path

import pytest
from small_shop import read, write_project

ADVISED = ("prompt.ocr=true", "prompt.neighbours=3", "prompt.knowledge=1")


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from kdsl.project.mining import mine
    from kdsl.project.project import Project
    from kdsl.project.task import TaskProject

    folder = write_project(tmp_path_factory.mktemp("embedded") / "project")
    project = Project.open(folder)
    mine(project, TaskProject.of(project, project.tasks[0]), workers=1)
    return folder


def right(kdsl, project: Path, output: Path, *options: str) -> float:
    result = kdsl("predict", project, "--input", project / "test.jsonl", "--output", output, *options)
    assert result.code == 0, result.err
    truth = {record["id"]: record["label"] for record in read(project / "test.jsonl")}
    found = read(output)
    return sum(record["label"] == truth[record["id"]] for record in found) / len(found)


@pytest.mark.parametrize(
    ("options", "files"),
    [
        (("large=neighbours",), {"neighbours.npz"}),
        (("large=neighbours", "prompt.knowledge=1"), {"neighbours.npz", "described.npz", "cold_start.npz"}),
        (ADVISED, {"linear.npz", "neighbours.npz", "described.npz", "cold_start.npz"}),
    ],
)
def test_what_was_trained_predicts_and_says_when_the_project_asks_for_something_else(
    kdsl, mined, tmp_path, options, files
):
    here = f"checkpoint={tmp_path / 'run'}"
    (tmp_path / "run/shop").mkdir(parents=True)
    (tmp_path / "run/shop/mining.json").write_bytes((mined / "checkpoints/run/shop/mining.json").read_bytes())
    result = kdsl("train", mined, *options, here)
    assert result.code == 0, result.err
    left = {path.name for path in (tmp_path / "run/shop").iterdir()}
    assert left == files | {"arbiter.json", "embedded.json", "mining.json", "out_of_fold.npz"}
    assert right(kdsl, mined, tmp_path / "p.jsonl", *options, here) >= 0.7
    asked = read(mined / "test.jsonl")[0]["id"]
    shown = kdsl("predict", mined, "--input", mined / "test.jsonl", "--explain", asked, *options, here).out
    trained_on = {record["id"] for record in read(mined / "train.jsonl")}
    told = trained_on & set(shown.partition("nearest samples")[2].split())
    assert 1 <= len(told) <= 5
    assert ("nearest label description: " in shown) <= ("described.npz" in files)
    assert ("what each opinion of the model counts: " in shown) == (len(files) > 1)
    result = kdsl("predict", mined, "--input", mined / "test.jsonl", "--output", tmp_path / "q.jsonl", here)
    assert result.code == 2
    assert "but kdsl.yaml now asks for linear; set it back, or run `kdsl train` again" in result.err


def test_neighbours_can_be_cross_validated(kdsl, mined):
    result = kdsl(
        "evaluate", mined, "--cross-validate", 2, "--format", "json", "large=neighbours", "mining.iterations=5"
    )
    assert result.code == 0, result.err
    assert json.loads(result.out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("prompt.neighbours=1", "prompt.embeddings=model"), "`large: linear` has no hidden states, so texts make"),
        (
            ("prompt.knowledge=1", "data.knowledge=nowhere"),
            "data.knowledge: not read, as `large: linear` has no prompt",
        ),
    ],
)
def test_what_only_prompts_of_large_models_show_is_said(kdsl, mined, caplog, options, words):
    assert kdsl("train", mined, *options).code == 0
    assert words in caplog.text


def test_copies_of_nothing_are_refused(kdsl, mined):
    result = kdsl("train", mined, "augment={copies: 2, text: false, images: false}")
    assert (result.code, "text and images are both false, so there is nothing to make" in result.err) == (2, True)
