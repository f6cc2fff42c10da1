"""`kdsl predict` over a folder of shards: what it prints, what it refuses, and going on after a signal."""

import json
import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from interrupted import run_interrupted
from small_shop import dialogues, write, write_project
from typer.testing import CliRunner

from kdsl.cli import application
from kdsl.project.mining import mine_project
from kdsl.project.project import Project
from kdsl.project.training import train_project


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project, and shards each of which has a line that is no sample."""
    folder = write_project(tmp_path_factory.mktemp("shards_command") / "shop")
    project = Project.open(folder)
    mine_project(project, workers=1)
    train_project(project)
    (folder / "in").mkdir()
    for number in range(3):
        path = write(folder / "in" / f"day-{number}.jsonl", dialogues(4, number, f"d{number}-"))
        with path.open("a") as file:
            file.write("not a sample\n")
    return folder


def kdsl(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(application(), [str(each) for each in arguments])
    return done.exit_code, done.output


def predictions(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_a_folder_becomes_a_folder_and_errors_are_counted(shop, tmp_path):
    code, said = kdsl("predict", shop, "--input", shop / "in", "--output", tmp_path / "out", "--workers", 1)
    assert (code, said.splitlines()) == (
        1,
        [
            f"{tmp_path}/out: 3 shards, 0 were done; 12 rows, 3 errors",
            f"{tmp_path}/out/_errors: what was wrong with each",
        ],
    )
    code, said = kdsl(
        "predict", shop, "--input", shop / "in", "--output", tmp_path / "out", "--workers", 1, "--format", "json"
    )
    assert (code, json.loads(said)["done_before"]) == (1, 3)


def test_predictions_are_those_of_the_file(shop, tmp_path):
    whole = tmp_path / "all.jsonl"
    lines = [line for path in sorted((shop / "in").iterdir()) for line in path.read_text("utf-8").splitlines()[:4]]
    whole.write_text("\n".join(lines) + "\n", "utf-8")
    assert kdsl("predict", shop, "--input", whole, "--output", tmp_path / "all.out.jsonl")[0] == 0
    kdsl("predict", shop, "--input", shop / "in", "--output", tmp_path / "out", "--workers", 1)
    single = [json.loads(line) for line in (tmp_path / "all.out.jsonl").read_text("utf-8").splitlines()]
    assert [(row["id"], row["label"], dict(row["probabilities"])) for row in predictions(tmp_path / "out")] == [
        (row["id"], row["label"], row["probabilities"]) for row in single
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_signal_between_errors_and_result_leaves_the_shard_to_be_done(shop, tmp_path, number, code):
    out = tmp_path / "out"
    words = ["predict", shop, "--input", shop / "in", "--output", out, "--workers", 1]
    ended = run_interrupted(number, out, "_errors/*.parquet", 2, *words)
    assert ended.returncode == code, ended.stderr
    if number is signal.SIGINT:
        assert ended.stderr == f"interrupted: 1 of 3 shards are in {out}; run again to go on\n"
    assert [path.name for path in sorted(out.glob("*.parquet"))] == ["day-0.parquet"]
    assert "3 shards, 1 were done; 12 rows, 3 errors" in kdsl(*words)[1]
    kdsl(*words[:5], tmp_path / "whole", *words[6:])
    assert predictions(out) == predictions(tmp_path / "whole")
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["predict", "--input", "in", "--input", "in", "--output", "memory://o"],
            "work over shards takes one --input",
        ),
        (
            ["predict", "--input", "in", "--output", "o", "--append"],
            "--append is for a file of samples, not for shards",
        ),
        (["predict", "--input", "in", "--engine", "ray"], "work over shards needs --input and --output, two folders"),
        (["predict", "--input", "a.jsonl", "--output", "b.jsonl", "--workers", "2"], "--workers is for work over"),
        (
            ["predict", "--input", "in", "--output", "o", "--address", "x:1"],
            "--address is that of a Ray cluster; give",
        ),
        (["ocr", "--input", "in"], "work over shards needs --input and --output, two folders or addresses; --output"),
        (["caption", "--again"], "--again is for work over shards; name their folder with --input, and one with"),
        (
            ["predict", "--input", "in", "--output", "in/o"],
            "results cannot lie in the folder of the shards, or around",
        ),
        (["predict", "--input", "memory://no", "--output", "o"], "memory://no: no such folder; name one with shards"),
    ],
)
def test_what_makes_no_sense_is_refused(shop, tmp_path, monkeypatch, words, message):
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    monkeypatch.chdir(folder)
    code, said = kdsl(*words)
    assert (code, said.startswith(f"error: {message}") or message in said) == (2, True), said
    assert not (folder / "o").exists()


def test_a_folder_of_results_whose_name_has_an_ending_is_one(shop, tmp_path):
    out = tmp_path / "results.v2"
    out.mkdir()
    assert "3 shards" in kdsl("predict", shop, "--input", shop / "in", "--output", out, "--workers", 1)[1]
