"""Planted wrong labels are found first, contradictions with them, repeats last; what people decided is left out."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from doubtful_shop import (
    CONTRADICTING,
    PLANTED,
    REPEATED,
    REPEATING,
    TWIN,
    doubtful_records,
    write_doubtful_project,
)
from small_shop import write

from kdsl.audio.transcript import Transcript
from kdsl.data.label_log import GivenLabels
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.suspicion import LEAST_ODDS
from kdsl.project.label_issues import LabelIssue, LabelledSamples, ModelAndRules, find_label_issues
from kdsl.project.project import Project
from kdsl.sample import Label, Sample, Task, Turn


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return write_doubtful_project(tmp_path_factory.mktemp("doubtful") / "project")


@pytest.fixture
def project(trained, tmp_path) -> Project:
    return Project.open(shutil.copytree(trained, tmp_path / "project"))


def ids(issues: list[LabelIssue]) -> list[str]:
    return [issue.sample.id for issue in issues]


def test_planted_wrong_labels_come_first_with_the_right_ones_suggested(project):
    issues = project.label_issues()
    found = {issue.sample.id: issue for issue in issues}
    assert set(ids(issues)[: len(PLANTED) + 1]) == {*PLANTED, CONTRADICTING}
    assert {id: found[id].suggested for id in PLANTED} == {"s3": "调光", "s16": "材质", "s32": "物流"}
    assert all(found[id].sample.label == label and found[id].kind == "doubtful" for id, label in PLANTED.items())
    assert [issue.odds for issue in issues] == sorted((issue.odds for issue in issues), reverse=True)


def test_of_two_that_say_the_same_the_odd_one_is_told_with_the_other(project):
    [issue] = [issue for issue in project.label_issues() if issue.kind == "contradiction"]
    assert (issue.sample.id, issue.suggested) == (CONTRADICTING, "调光")
    assert [sample.id for sample in issue.same] == [TWIN]


def test_a_repeat_comes_last_and_once(project):
    issues = project.label_issues()
    assert [(issue.sample.id, issue.suggested) for issue in issues if issue.kind == "repeat"] == [(REPEATING, None)]
    assert issues[-1].sample.id == REPEATING
    assert issues[-1].why == f"repeats {REPEATED} (材质)"


def test_each_says_why(project):
    issue = next(issue for issue in project.label_issues() if issue.sample.id == "s3")
    assert issue.model["材质"] < 0.2 < issue.model["调光"]
    assert {issue.labels[near.label] for near in issue.near} & {"调光"}
    assert "s3" not in [near.id for near in issue.near]
    assert issue.why.startswith(f"model: {issue.model['材质']:.2f} 材质, {issue.model['调光']:.2f} 调光; nearest: ")


def test_only_accepted_rules_speak_and_make_the_odds_higher(project):
    from kdsl.rules.rule import Review

    before = next(issue for issue in project.label_issues() if issue.sample.id == "s3")
    assert before.rules == ()
    base = project.rules()
    for rule in base.rules:
        if rule.label == "调光":
            review = Review(by="小王", at="2026-01-01", of=rule.when_hash)
            base.save(rule.model_copy(update={"status": "accepted", "review": review}))
    project.train()
    after = next(issue for issue in project.label_issues() if issue.sample.id == "s3")
    assert {hit.rule.label for hit in after.rules} == {"调光"}
    assert "rules: 调光" in after.why
    assert after.odds > before.odds


def test_what_people_decided_is_left_out_and_the_others_are_judged_by_the_new_label(project):
    before = project.label_issues()
    log = project.label_log
    first, second = before[0], before[1]
    log.give(first.sample, str(first.suggested), "小王")
    log.give(second.sample, str(second.sample.label), "小王")
    left = ids(project.label_issues())
    assert first.sample.id not in left and second.sample.id not in left
    assert set(left) == set(ids(before)) - {first.sample.id, second.sample.id}
    log.undo("小王")
    assert second.sample.id in ids(project.label_issues())


def test_relabelling_the_odd_one_ends_the_contradiction(project):
    issue = next(issue for issue in project.label_issues() if issue.kind == "contradiction")
    project.label_log.give(issue.sample, "调光", "小王")
    again = {each.sample.id: each for each in project.label_issues()}
    assert CONTRADICTING not in again and "contradiction" not in {each.kind for each in again.values()}


def test_a_label_that_the_task_has_no_more_is_none(project):
    before = ids(project.label_issues())
    project.label_log.give(project.samples()[0], "木头", "小王")
    assert ids(project.label_issues()) == before


def test_a_task_without_labels_has_none_that_are_wrong(project):
    records = [record | {"label": None} for record in doubtful_records()]
    write(project.config.folder / "train.jsonl", records)
    assert project.label_issues() == []


def test_without_training_one_sentence_says_what_to_run(project):
    shutil.rmtree(project.config.checkpoint)
    with pytest.raises(KdslError, match="shop: which labels are doubtful is known once a model was trained; call pro"):
        project.label_issues()


class TestOdds:
    """Of twenty samples that have nothing in common, so that neighbours say next to nothing."""

    TASK = Task("t", (Label("a"), Label("b")))

    def issues(self, probability: float, known: bool = True) -> list[str]:
        """What is told where the model gives the label of the first sample that probability."""
        samples = [Sample(str(i), "t", (Turn("user", chr(0x4E00 + 40 * i)),), label="ab"[i % 2]) for i in range(20)]
        labelled = LabelledSamples.of(self.TASK, FieldTable(samples, Sidecars()), None)
        model = np.array([[0.9, 0.1], [0.1, 0.9]] * 10)
        model[0] = probability, 1 - probability
        found = ModelAndRules(model, np.array([known] * 20), model, [[] for _ in samples])
        return ids(find_label_issues(labelled, found, GivenLabels()))

    def test_another_label_must_be_about_twenty_times_as_likely(self):
        assert LEAST_ODDS == 20
        assert self.issues(1 / 24) == ["0"]
        assert self.issues(1 / 16) == []

    def test_of_a_sample_that_the_model_knows_nothing_of_nothing_is_told(self):
        assert self.issues(1 / 24, known=False) == []

    def test_who_says_aloud_what_another_types_says_the_same(self):
        typed = [Sample(str(i), "t", (Turn("user", f"第{i}件怎么退"),), label="ab"[i % 2]) for i in range(4)]
        said = {"4": "第0件怎么退", "5": "第1件 怎么退", "6": "", "7": ""}
        spoken = [Sample(name, "t", audio=(f"{name}.wav",), label="a") for name in (*said, "8", "9")]
        known = Sidecars(
            transcripts={f"{name}.wav": Transcript(f"{name}.wav", 1.0, text) for name, text in said.items()}
        )
        labelled = LabelledSamples.of(self.TASK, FieldTable([*typed, *spoken], known), None)
        assert labelled.same == {0: [4], 4: [0], 1: [5], 5: [1]}
