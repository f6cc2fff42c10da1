"""Feedback to the service is what a project learns from, from its first sample on."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from small_shop import dialogues, read, write, write_project

from kdsl.errors import KdslError
from kdsl.project.dependencies import digest
from kdsl.project.evaluation import evaluate_project
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.unlabelled import unlabelled_table
from kdsl.sample import Label, Sample, Task, Turn

STEPS = ("check", "mine", "train", "evaluate")


@pytest.fixture
def shop(tmp_path) -> Path:
    return write_project(tmp_path / "project")


def asked(id: str = "q1", text: str = "快递发货了吗") -> Sample:
    return Sample(id, "shop", (Turn("user", text),))


def say(project: Project, sample: Sample, label: str, by: str = "小王") -> None:
    project.feedback_log.give(sample, label, by, project.task())


def digests(project: Project) -> list[str]:
    return [digest(project, step) for step in STEPS]


def test_a_project_that_is_open_learns_from_it_until_it_is_taken_back_and_the_data_stay_as_they_are(shop):
    project = Project.open(shop)
    before = (shop / "train.jsonl").read_bytes()
    assert len(project.samples()) == 60 and project.feedback().people() == {}
    say(project, asked(), "物流")
    assert project.samples()[60:] == [replace(asked(), label="物流")]
    learned = TaskProject.of(project, project.task())
    assert len(learned.table) == 61 and learned.labels[60] == 2
    assert Project.open(shop).samples() == project.samples()
    assert project.feedback().people() == {"小王": 1}
    assert [path.name for path in shop.glob("*feedback*")] == ["feedback.jsonl"]
    assert (shop / "train.jsonl").read_bytes() == before
    project.feedback_log.undo("小王")
    assert len(project.samples()) == 60 and project.feedback().people() == {}


def test_it_is_read_once_until_a_file_changes(shop):
    project = Project.open(shop)
    say(project, asked(), "物流")
    samples, feedback = project.samples(), project.feedback()
    assert project.samples() is samples and project.feedback() is feedback
    write(shop / "test.jsonl", [{"id": "t", "text": "快递发货了吗", "label": "物流"}])
    assert len(project.samples()) == 60


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("{train: a/train.jsonl, unlabelled: b/more.jsonl}", "a/feedback.jsonl"),
        ("{unlabelled: b/more.jsonl}", "b/feedback.jsonl"),
        ("{train: a/train.jsonl, feedback: c/said.jsonl}", "c/said.jsonl"),
        ("{}", "feedback.jsonl"),
    ],
)
def test_it_lies_beside_the_samples_or_where_the_configuration_says(shop, data, place):
    (shop / "kdsl.yaml").write_text(f"tasks: [task.yaml]\ndata: {data}\n", "utf-8")
    for project in (Project.open(shop), Project.open(shop, ["seed=3"])):
        assert project.feedback_log.path == shop / place


class TestTestSamples:
    def test_are_left_out_and_told(self, shop, caplog):
        project = Project.open(shop)
        test = project.samples("test")[0]
        say(project, replace(test, id="q1", label=None), "物流")
        with caplog.at_level(logging.WARNING):
            assert len(project.samples()) == 60
        told = "1 samples with feedback are not trained on, as data.test has them, the first in 'q1'"
        assert caplog.messages == [f"{shop / 'feedback.jsonl'}: {told}"]
        assert project.samples("test")[0] == test

    def test_need_not_be_there_yet(self, shop):
        (shop / "test.jsonl").unlink()
        project = Project.open(shop)
        say(project, asked(), "物流")
        assert len(project.samples()) == 61


class TestSteps:
    def test_are_done_again_for_feedback_and_not_where_another_person_says_the_same(self, shop):
        project = Project.open(shop)
        before = digests(project)
        say(project, asked(), "物流")
        after = digests(project)
        assert not {*after} & {*before}
        say(project, asked(), "物流", "小李")
        assert digests(project) == after
        say(project, asked(), "材质", "小李")
        assert not {*digests(project)} & {*after}
        project.feedback_log.undo("小李")
        project.feedback_log.undo("小李")
        project.feedback_log.undo("小王")
        assert digests(project) == before

    def test_are_done_again_for_other_test_samples_only_with_feedback(self, shop):
        project = Project.open(shop)
        mined = digest(project, "mine")
        write(shop / "test.jsonl", dialogues(14, 3, "t"))
        assert digest(project, "mine") == mined
        say(project, asked(), "物流")
        mined = digest(project, "mine")
        write(shop / "test.jsonl", dialogues(13, 3, "t"))
        assert digest(project, "mine") != mined


class TestLabelsOfPeople:
    def test_count_for_samples_with_feedback(self, shop):
        project = Project.open(shop)
        say(project, asked(), "物流")
        project.label_log.give(project.samples()[60], "材质", "小李")
        assert project.samples()[60:] == [replace(asked(), label="材质")]
        project.label_log.undo("小李")
        assert project.samples()[60:] == [replace(asked(), label="物流")]

    def test_give_way_to_what_is_said_to_the_service_later_and_the_other_way_round(self, shop):
        project = Project.open(shop)
        first = project.samples()[0]
        assert first.label == "调光"
        project.label_log.give(first, "物流", "小李")
        assert project.samples()[0].label == "物流"
        say(project, first, "调光")  # what the file says, too
        assert project.samples()[0].label == "调光"
        project.label_log.give(project.samples()[0], "材质", "小李")
        assert project.samples()[0].label == "材质"
        project.label_log.undo("小李")
        project.feedback_log.undo("小王")
        assert project.samples()[0].label == "物流"

    def test_decide_what_counts_twice(self, shop):
        project = Project.open(shop)
        write(
            shop / "train.jsonl", [*read(shop / "train.jsonl"), {"id": "own", "text": "快递发货了吗", "label": "材质"}]
        )
        say(project, asked(), "物流")
        assert len(project.samples()) == 62
        project.label_log.give(project.samples()[60], "物流", "小李")
        assert [sample.id for sample in project.samples()[60:]] == ["own"]

    def test_of_an_unlabelled_sample_with_feedback_are_about_one_sample(self, shop):
        write(shop / "more.jsonl", [{"id": "q1", "text": "快递发货了吗"}])
        project = Project.open(shop, {"data.unlabelled": shop / "more.jsonl"})
        say(project, asked(), "物流")
        assert len(unlabelled_table(project, project.task())) == 0
        project.label_log.give(project.samples()[60], "材质", "小李")
        assert project.samples()[60:] == [replace(asked(), label="材质")]


class TestWithoutAFileOfSamples:
    """`kdsl serve` decides by the names of labels before anybody has labelled a sample: feedback is the first."""

    TASK = Task("shop", (Label("退款"), Label("物流")))
    SAID = (("我要退款", "退款"), ("钱退给我", "退款"), ("退钱", "退款"), ("快递到哪了", "物流"), ("几时发货", "物流"),
            ("包裹在哪", "物流"))  # fmt: skip

    @pytest.fixture
    def cold(self, tmp_path) -> Project:
        Project.create(tmp_path, [self.TASK])
        (tmp_path / "kdsl.yaml").write_text("tasks: [tasks/shop.yaml]\nmining: {iterations: 5}\n", "utf-8")
        return Project.open(tmp_path)

    def test_the_project_has_samples_from_then_on_mines_trains_and_measures(self, cold):
        assert cold.splits == [] and not cold.has_labels(cold.task())
        with pytest.raises(KdslError, match=r"data\.train is not set"):
            cold.samples()
        for number, (text, label) in enumerate(self.SAID):
            say(cold, asked(f"q{number}", text), label)
        assert cold.splits == ["train"] and cold.has_labels(cold.task())
        assert [sample.label for sample in cold.samples()] == [label for _, label in self.SAID]
        assert cold.check().counts == {"shop": {"退款": {"train": 3}, "物流": {"train": 3}}}
        cold.mine()
        cold.train()
        assert cold.predict("快递到哪了")[0].label == "物流"
        evaluated = evaluate_project(cold, 2)
        assert evaluated.run.record.samples.name == "feedback.jsonl"

    def test_what_was_all_taken_back_is_no_sample(self, cold):
        say(cold, asked(), "物流")
        cold.feedback_log.undo("小王")
        assert cold.samples() == [] and not cold.has_labels(cold.task())

    def test_labels_that_people_gave_to_unlabelled_samples_count_too(self, cold):
        write(cold.config.folder / "more.jsonl", [{"id": "u", "text": "什么时候到"}])
        project = Project.open(cold.config.folder, {"data.unlabelled": cold.config.folder / "more.jsonl"})
        [row] = unlabelled_table(project, project.task()).rows
        project.label_log.give(row.sample, "物流", "小李")
        assert [(sample.id, sample.label) for sample in project.samples()] == [("u", "物流")]


def test_a_file_of_samples_that_is_not_there_is_told_and_not_made_up_for_by_feedback(shop):
    (shop / "train.jsonl").unlink()
    project = Project.open(shop)
    say(project, asked(), "物流")
    with pytest.raises(KdslError, match=r"train\.jsonl: no such file"):
        project.samples()


def test_check_finds_an_image_that_is_not_there_and_people_who_disagree_and_names_them(shop):
    (shop / "images").mkdir(exist_ok=True)
    project = Project.open(shop)
    say(project, replace(asked(), images=("gone.png",)), "物流")
    say(project, replace(asked(), images=("gone.png",)), "材质", "小李")
    report = project.check()
    found = {finding.kind: finding for finding in report.findings}
    assert found["missing-images"].examples == ("gone.png",)
    assert found["feedback-apart"].examples == ("q1: 小王 物流, 小李 材质",)
    assert report.feedback == {"小李": 1} and report.record()["feedback"] == {"小李": 1}


def test_a_log_that_was_changed_by_hand_is_one_sentence_for_whoever_reads_the_samples(shop):
    (shop / "feedback.jsonl").write_text('{"event": "0"}\n', "utf-8")
    with pytest.raises(KdslError, match=r"feedback\.jsonl, line 1: .*; restore the file from git, or take the line"):
        Project.open(shop).samples("train")
    assert len(Project.open(shop).samples("test")) == 15


def test_where_a_project_lies_does_not_matter(shop, tmp_path):
    project = Project.open(shop)
    say(project, asked(), "物流")
    before = digests(project)
    os.rename(shop, tmp_path / "moved")
    assert digests(Project.open(tmp_path / "moved")) == before
