"""kdsl train and kdsl run tell in one line what accepted rules taught the classifier, or why nothing."""

import json
import shutil
from pathlib import Path

import pytest
from small_shop import dialogues, write, write_project

from kdsl.project.project import Project

UNLABELLED = "data.unlabelled=unlabelled.jsonl"


@pytest.fixture(scope="session")
def taught_shop(tmp_path_factory) -> Path:
    """A project that was mined, with 30 samples without labels; tests take copies."""
    folder = write_project(tmp_path_factory.mktemp("taught") / "project")
    more = [{key: value for key, value in each.items() if key != "label"} for each in dialogues(30, 5, "u")]
    write(folder / "unlabelled.jsonl", more)
    Project.open(folder).mine(workers=1)
    return folder


@pytest.fixture
def project(taught_shop, tmp_path, monkeypatch) -> Path:
    folder = Path(shutil.copytree(taught_shop, tmp_path / "project"))
    monkeypatch.chdir(folder)
    return folder


def accept_all(project: Path) -> int:
    paths = list((project / "rules/shop").rglob("*.yaml"))
    for path in paths:
        path.write_text(path.read_text("utf-8").replace("status: proposed", "status: accepted"), "utf-8")
    return len(paths)


def told(out: str) -> str:
    """The sentence about unlabelled samples, on one line; empty where there is none."""
    words = " ".join(out.split())
    return words[words.index("shop: ", words.rindex("unlabelled samples") - 60) :] if "unlabelled" in words else ""


def test_without_unlabelled_samples_nothing_is_said(kdsl, project):
    accept_all(project)
    assert "unlabelled" not in kdsl("train").out
    [record] = json.loads(kdsl("train", "--format", "json").out)
    assert "taught" not in record


def test_what_was_taught_is_said_and_stands_in_the_json(kdsl, project):
    accepted = accept_all(project)
    line = told(kdsl("train", UNLABELLED).out)
    assert (
        f"{accepted} accepted rules label" in line and "of 30 unlabelled samples; the classifier learns from" in line
    )
    [record] = json.loads(kdsl("train", UNLABELLED, "--format", "json").out)
    assert (record["taught"]["unlabelled"], record["taught"]["rules"]) == (30, accepted)


@pytest.mark.parametrize(
    ("options", "accepted", "why"),
    [
        ((), False, "no rule is accepted yet"),
        (("large=neighbours",), True, "this classifier learns nothing from what rules say"),
    ],
)
def test_why_nothing_is_taught_is_said(kdsl, project, options, accepted, why):
    if accepted:
        accept_all(project)
    result = kdsl("train", UNLABELLED, *options)
    assert result.code == 0
    assert f"shop: none of 30 unlabelled samples is learned from: {why}." in " ".join(result.out.split())


def test_a_run_says_it_and_trains_again_when_unlabelled_samples_or_decisions_change(kdsl, project):
    first = kdsl("run", UNLABELLED).err
    assert "train: shop: none of 30 unlabelled samples is learned from: no rule is accepted yet" in first
    assert "train (unchanged): shop: none of 30" in kdsl("run", UNLABELLED).err
    accept_all(project)
    assert "accepted rules label" in kdsl("run", UNLABELLED).err
    write(project / "unlabelled.jsonl", dialogues(10, 6, "u"))
    again = kdsl("run", UNLABELLED).err
    assert "of 10 unlabelled samples" in again and "train (unchanged)" not in again
