"""Labels that people gave are what a project learns from; its files stay as they are."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from small_shop import dialogues, read, write, write_project

from kdsl.errors import KdslError
from kdsl.project.dependencies import digest
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.unlabelled import unlabelled_table


@pytest.fixture
def shop(tmp_path) -> Path:
    return write_project(tmp_path / "project")


def give(project: Project, number: int, label: str) -> str:
    """The id of the training sample that is given the label."""
    sample = project.samples("train")[number]
    project.label_log.give(sample, label, "小王")
    return sample.id


def test_a_project_that_is_open_learns_the_new_label_and_the_data_stay_as_they_are(shop):
    project = Project.open(shop)
    before = (shop / "train.jsonl").read_bytes()
    assert project.samples("train")[0].label == "调光"
    give(project, 0, "物流")
    assert (shop / "train.jsonl").read_bytes() == before
    assert (shop / "labels.jsonl").exists()
    learned = TaskProject.of(project, project.task())
    assert learned.labels[0] == 2
    assert [row.sample.label for row in learned.table.rows][:2] == ["物流", "材质"]
    assert Project.open(shop).samples("train") == project.samples("train")
    project.label_log.undo("小王")
    assert project.samples("train")[0].label == "调光"


def test_test_samples_keep_their_labels(shop):
    write(shop / "test.jsonl", read(shop / "train.jsonl"))
    project = Project.open(shop)
    give(project, 0, "物流")
    assert project.samples("test")[0].label == "调光"


def test_the_log_lies_where_the_configuration_says(shop):
    project = Project.open(shop, {"data.relabelled": shop / "decided" / "labels.jsonl"})
    (shop / "decided").mkdir()
    give(project, 0, "物流")
    assert project.samples("train")[0].label == "物流"
    assert [path.name for path in (shop / "decided").iterdir()] == ["labels.jsonl"]
    assert Project.open(shop).samples("train")[0].label == "调光"


def test_an_unlabelled_sample_that_somebody_labelled_is_a_training_sample_and_unlabelled_no_more(shop):
    write(shop / "more.jsonl", dialogues(4, 9, "u"))
    project = Project.open(shop, {"data.unlabelled": shop / "more.jsonl"})
    task = project.task()
    unlabelled = [row.sample for row in unlabelled_table(project, task).rows]
    assert len(unlabelled) == 4
    project.label_log.give(unlabelled[1], "材质", "小王")
    assert project.samples("train")[60:] == [replace(unlabelled[1], label="材质")]
    left = [row.sample.id for row in unlabelled_table(project, task).rows]
    assert left == [unlabelled[0].id, unlabelled[2].id, unlabelled[3].id]


def test_a_label_of_a_sample_that_changed_is_told_and_not_used(shop, caplog):
    project = Project.open(shop)
    give(project, 0, "物流")
    records = read(shop / "train.jsonl")
    records[0]["turns"][0]["text"] = "别的"
    write(shop / "train.jsonl", records)
    with caplog.at_level(logging.WARNING):
        assert project.samples("train")[0].label == "调光"
    assert [record.getMessage() for record in caplog.records] == [
        f"{shop / 'labels.jsonl'}: 1 labels that people gave are not used, as their samples have changed or are gone, "
        f"the first in {records[0]['id']!r}"
    ]


def test_steps_are_done_again_for_another_label_and_not_for_one_that_was_right(shop):
    project = Project.open(shop)
    steps = ("check", "mine", "train", "evaluate")
    before = [digest(project, step) for step in steps]
    give(project, 1, "材质")
    assert [digest(project, step) for step in steps] == before
    give(project, 0, "物流")
    assert all(digest(project, step) != old for step, old in zip(steps, before, strict=True))


def test_a_log_that_was_changed_by_hand_is_one_sentence_for_whoever_reads_the_samples(shop):
    (shop / "labels.jsonl").write_text('{"event": "0"}\n', "utf-8")
    with pytest.raises(KdslError, match=r"labels\.jsonl, line 1: .*; restore the file from git, or take the line out"):
        Project.open(shop).samples("train")
    assert len(Project.open(shop).samples("test")) == 15


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("{train: a/train.jsonl, unlabelled: b/more.jsonl}", "a/labels.jsonl"),
        ("{unlabelled: b/more.jsonl}", "b/labels.jsonl"),
        ("{feedback: c/said.jsonl}", "c/labels.jsonl"),
        ("{}", "labels.jsonl"),
    ],
)
def test_the_log_lies_beside_the_samples(shop, data, place):
    (shop / "kdsl.yaml").write_text(f"tasks: [task.yaml]\ndata: {data}\n", "utf-8")
    assert Project.open(shop).label_log.path == shop / place
