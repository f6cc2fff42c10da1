"""The samples that nobody has labelled: which these are, of which files, and how many of them are looked at."""

import json
from pathlib import Path

import pytest

from kdsl.errors import KdslError
from kdsl.project import unlabelled
from kdsl.project.project import Project
from kdsl.project.unlabelled import unlabelled_table
from kdsl.sample import Label, Task

RETURNS = Task("returns", (Label("退款"), Label("尺码")))
COLOURS = Task("colours", (Label("红色"), Label("蓝色")))
SPOKEN = {"asked": "裤子太长", "again": "裤子太长", "other": "换个颜色", "typed": "我要退款"}
"""Sound → what is said in it."""
LABELLED = [
    {"id": "1", "task": "returns", "text": "我要退款", "label": "退款"},
    {"id": "2", "task": "returns", "text": "尺码太小", "label": "尺码"},
]


def make(folder: Path, **files: list[dict]) -> Project:
    """A project with the tasks returns and colours, and these records as files of `data`."""
    Project.create(folder, [RETURNS, COLOURS])
    for name, records in files.items():
        write(folder / f"{name}.jsonl", records)
    data = ", ".join(f"{name}: {name}.jsonl" for name in files)
    text = f"tasks: [tasks/returns.yaml, tasks/colours.yaml]\ndata: {{{data}}}\n"
    (folder / "kdsl.yaml").write_text(text, "utf-8")
    return Project.open(folder)


def write(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def asked(*texts: str, task: str = "returns", **more: object) -> list[dict]:
    return [{"id": f"u{n}", "task": task, "text": text, **more} for n, text in enumerate(texts)]


def texts(project: Project, task: Task = RETURNS) -> list[str]:
    return unlabelled_table(project, task).texts("user")


def test_there_are_none_without_a_file(tmp_path):
    assert len(unlabelled_table(make(tmp_path / "empty"), RETURNS)) == 0
    assert len(unlabelled_table(make(tmp_path / "labelled", train=LABELLED), RETURNS)) == 0


def test_those_of_the_task_are_taken_of_both_files_and_no_label_is_looked_at(tmp_path):
    train = [*LABELLED, {"id": "3", "task": "returns", "text": "快递呢"}]
    more = asked("大了", label="尺码") + asked("要蓝的", task="colours")
    project = make(tmp_path, train=train, unlabelled=more)
    assert texts(project) == ["快递呢", "大了"]
    assert texts(project, COLOURS) == ["要蓝的"]
    assert all(row.sample.label is None for row in unlabelled_table(project, RETURNS).rows)


def test_what_says_the_same_as_a_labelled_sample_is_left_out(tmp_path):
    """Once normalised; with other images it is another sample."""
    shown = {"id": "u9", "task": "returns", "text": "我要退款", "images": ["a.jpg"]}
    project = make(tmp_path, train=LABELLED, unlabelled=[*asked("我要 退款", "我要退钱"), shown])
    assert texts(project) == ["我要退钱", "我要退款"]


def test_what_is_said_aloud_is_compared_as_what_is_typed_and_sounds_of_unknown_words_are_like_no_other(tmp_path):
    said = [{"file": f"{name}.wav", "seconds": 2, "transcript": text} for name, text in SPOKEN.items()]
    heard = make(
        tmp_path / "heard",
        train=[*LABELLED, {"id": "3", "task": "returns", "audio": "asked.wav", "label": "尺码"}],
        unlabelled=[{"id": name, "task": "returns", "audio": f"{name}.wav"} for name in ("again", "other", "typed")],
        transcripts=said,
    )
    assert texts(heard) == ["换个颜色"]
    write(tmp_path / "heard/transcripts.jsonl", [])
    assert len(unlabelled_table(Project.open(tmp_path / "heard"), RETURNS)) == 3


def test_of_very_many_some_are_taken_from_all_parts_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(unlabelled, "MOST_UNLABELLED", 4)
    assert texts(make(tmp_path / "four", unlabelled=asked(*"abcd"))) == list("abcd")
    assert texts(make(tmp_path / "nine", unlabelled=asked(*"abcdefghi"))) == ["a", "d", "g"]


def test_they_are_read_once_until_the_file_changes(tmp_path):
    project = make(tmp_path, unlabelled=asked("大了"))
    first = unlabelled_table(project, RETURNS)
    assert unlabelled_table(project, RETURNS) is first
    write(tmp_path / "unlabelled.jsonl", asked("大了", "小了"))
    assert texts(project) == ["大了", "小了"]


def test_a_file_that_is_missing_is_an_error(tmp_path):
    project = make(tmp_path, unlabelled=asked("大了"))
    (tmp_path / "unlabelled.jsonl").unlink()
    with pytest.raises(KdslError, match=r"unlabelled\.jsonl: no such file"):
        unlabelled_table(project, RETURNS)
