"""How far long work is, told to whoever wants to know."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kdsl.progress import Advance, reported, track
from kdsl.project.mining import mine
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.training import train_project


class Diary:
    """Writes down what it is told, as a notebook's widget would show it."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int | None]] = []
        self.steps = 0
        self.ended = 0

    @contextmanager
    def __call__(self, description: str, total: int | None) -> Iterator[Advance]:
        self.begun.append((description, total))
        try:
            yield self._step
        finally:
            self.ended += 1

    def _step(self, description: str) -> None:
        self.steps += 1


@pytest.fixture
def project(tmp_path: Path) -> Path:
    words = {"能否调光": "亮度", "商品材质": "面料"}
    samples = [
        {"id": f"s{i}", "text": f"{'春夏秋冬'[i % 4]}，{words[label]}", "label": label}
        for i, label in enumerate([*words] * 8)
    ]
    lines = [json.dumps(sample, ensure_ascii=False) for sample in samples]
    (tmp_path / "train.jsonl").write_text("\n".join(lines), "utf-8")
    labels = ", ".join(f'{{name: "{label}"}}' for label in words)
    (tmp_path / "task.yaml").write_text(f"name: shop\nlabels: [{labels}]\n", "utf-8")
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: train.jsonl}\nmining: {iterations: 20}\n", "utf-8"
    )
    return tmp_path


def test_every_item_is_a_step_of_the_work():
    diary = Diary()
    assert list(track("abc", "Reading", 3, diary)) == ["a", "b", "c"]
    assert (diary.begun, diary.steps, diary.ended) == ([("Reading", 3)], 3, 1)


def test_work_that_fails_has_ended_too():
    diary = Diary()
    with pytest.raises(ValueError), reported(diary, "Reading", None):
        raise ValueError
    assert diary.ended == 1


def test_without_anybody_to_tell_nothing_is_said(capfd):
    with reported(None, "Reading", 2) as advance:
        advance("Reading")
    assert list(track("ab", "Reading", 2, None)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_a_project_tells_how_far_mining_and_training_are(project):
    diary = Diary()
    opened = Project.open(project, progress=diary)
    mine(opened, TaskProject.of(opened, opened.tasks[0]), workers=1)
    mined = dict(diary.begun)["shop: classifier"]
    assert diary.steps == mined
    train_project(opened)
    assert diary.steps - mined == dict(diary.begun)["Training"]
    assert diary.ended == len(diary.begun)


def test_a_project_that_nobody_watches_prints_nothing(project, capfd):
    opened = Project.open(project)
    mine(opened, TaskProject.of(opened, opened.tasks[0]), workers=1)
    train_project(opened)
    assert capfd.readouterr() == ("", "")
