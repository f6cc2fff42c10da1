"""Feedback joins the training samples: nothing of it is lost, nothing counts twice, nothing of the test set leaks."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kdsl.data.feedback import FeedbackLog
from kdsl.data.feedback_samples import FeedbackSamples, add_feedback, check_feedback, without_repeats
from kdsl.data.label_log import GivenLabels, LabelLog
from kdsl.data.notes import Notes
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("退款"), Label("物流"), Label("材质")))
SEVERAL = replace(TASK, multi=True)


def sample(id: str, text: str = "多久到", label: str | None = None, images: tuple[str, ...] = ()) -> Sample:
    return Sample(id, "shop", (Turn("user", text),), images, label)


@pytest.fixture
def log(tmp_path) -> FeedbackLog:
    return FeedbackLog(tmp_path / "feedback.jsonl")


def added(
    log: FeedbackLog, *train: Sample, test: tuple[Sample, ...] = (), task: Task = TASK, images: Path | None = None
) -> tuple[list[Sample], list[str], FeedbackSamples]:
    """The samples with feedback, what was noted, and what was used."""
    notes = Notes()
    samples, used = add_feedback(train, log.words(), test, [task], images, notes)
    samples, used = without_repeats(samples, used, images, notes)
    return samples, [f"{noted.count} {what}, {noted.first}" for what, noted in notes.left_out.items()], used


def test_samples_that_only_feedback_knows_stand_behind_those_of_the_file(log):
    log.give(sample("q1"), "物流", "王", TASK)
    train = sample("1", "怎么退", "退款")
    samples, notes, used = added(log, train)
    assert samples == [train, sample("q1", label="物流")]
    assert notes == []
    assert used.people() == {"王": 1}
    word = used.of(samples[1])
    assert word is not None and word.event.by == "王"
    assert used.of(train) is None


def test_without_feedback_the_samples_are_as_they_were(log):
    train = [sample("1", "怎么退", "退款"), sample("2", "怎么退", "退款")]
    samples, notes, used = added(log, *train)
    assert (samples, notes, used.people()) == (train, [], {})


class TestTheSameSampleAsInTheFile:
    def test_has_the_label_that_was_given_last(self, log):
        log.give(sample("1"), "物流", "王", TASK)
        samples, notes, used = added(log, sample("1", label="退款"))
        assert samples == [sample("1", label="物流")]
        assert notes == ["1 samples of the training file have the label of their feedback, not that of the file, '1'"]
        assert used.people() == {"王": 1} and not used.added

    @pytest.mark.parametrize("label", ["物流", None])
    def test_that_agrees_or_has_no_label_is_nothing_to_tell(self, log, label):
        log.give(sample("1"), "物流", "王", TASK)
        samples, notes, _ = added(log, sample("1", label=label))
        assert (samples, notes) == ([sample("1", label="物流")], [])

    def test_is_trained_on_though_a_test_sample_says_the_same_as_the_file_says_so(self, log):
        log.give(sample("1"), "物流", "王", TASK)
        samples, _, _ = added(log, sample("1", label="退款"), test=(sample("t", label="物流"),))
        assert samples == [sample("1", label="物流")]

    def test_of_a_task_with_several_labels_has_all_of_them(self, log):
        log.give(sample("1"), ["物流", "退款"], "王", SEVERAL)
        samples, _, _ = added(log, replace(sample("1"), labels=("退款",)), task=SEVERAL)
        assert samples == [replace(sample("1"), labels=("退款", "物流"))]


class TestTheSameIdWithOtherContent:
    TOLD = "samples with feedback have the id of another sample and were given one of their own"

    def test_is_another_sample_with_an_id_of_its_own(self, log):
        log.give(sample("1", "什么布"), "材质", "王", TASK)
        samples, notes, used = added(log, sample("1", label="退款"))
        own = f"1~{sample('1', '什么布').fingerprint[:8]}"
        assert samples == [sample("1", label="退款"), sample(own, "什么布", "材质")]
        assert notes == [f"1 {self.TOLD}, '1'"]
        word = used.of(samples[1])
        assert word is not None and word.sample == samples[1]

    def test_holds_for_two_of_feedback_of_which_the_first_keeps_the_id_even_if_it_is_taken_back(self, log):
        log.give(sample("1"), "物流", "王", TASK)
        log.give(sample("1", "什么布"), "材质", "李", TASK)
        own = f"1~{sample('1', '什么布').fingerprint[:8]}"
        assert [each.id for each in added(log)[0]] == ["1", own]
        log.undo("王")
        assert [each.id for each in added(log)[0]] == [own]

    def test_of_another_task_is_no_clash(self, log):
        log.give(sample("1"), "物流", "王", TASK)
        other = Sample("1", "scene", (Turn("user", "?"),), label="a")
        samples, notes, _ = added(log, other)
        assert ([each.id for each in samples], notes) == (["1", "1"], [])


class TestTestSamples:
    TOLD = "samples with feedback are not trained on, as data.test has them"

    @pytest.mark.parametrize("text", ["多久到", " 多久 到"])
    def test_are_never_trained_on_whatever_their_id(self, log, text):
        log.give(sample("q1", text), "物流", "王", TASK)
        log.give(sample("q2", "什么布"), "材质", "王", TASK)
        samples, notes, used = added(log, test=(sample("t"),))
        assert samples == [sample("q2", "什么布", "材质")]
        assert notes == [f"1 {self.TOLD}, 'q1'"]
        assert len(used.words) == 1

    def test_are_known_by_what_their_images_hold(self, log, tmp_path):
        for name, colour in (("t.png", "red"), ("same.png", "red"), ("new.png", "blue")):
            Image.new("RGB", (9, 9), colour).save(tmp_path / name)
        for name in ("same.png", "new.png"):
            log.give(Sample(name, "shop", images=(name,)), "物流", "王", TASK)
        test = Sample("t", "shop", images=("t.png",), label="退款")
        samples, notes, _ = added(log, test=(test,), images=tmp_path)
        assert [each.id for each in samples] == ["new.png"]
        assert notes == [f"1 {self.TOLD}, 'same.png'"]

    def test_of_another_task_are_others(self, log):
        log.give(sample("q1"), "物流", "王", TASK)
        assert len(added(log, test=(replace(sample("t"), task="scene"),))[0]) == 1


class TestRepeats:
    TOLD = "samples with feedback say what another training sample of their label says, and are left out"

    def test_of_the_file_count_once_so_that_no_fold_is_asked_what_another_was_told(self, log):
        log.give(sample("q1", "多久 到"), "物流", "王", TASK)
        samples, notes, used = added(log, sample("1", label="物流"))
        assert samples == [sample("1", label="物流")]
        assert notes == [f"1 {self.TOLD}, 'q1'"]
        assert used.people() == {} and not used.added

    def test_of_each_other_leave_the_first(self, log):
        for id in ("q1", "q2", "q3"):
            log.give(sample(id), "物流", "王", TASK)
        samples, notes, _ = added(log)
        assert ([each.id for each in samples], notes) == (["q1"], [f"2 {self.TOLD}, 'q2'"])

    def test_with_another_label_stay_as_somebody_has_to_decide(self, log):
        log.give(sample("q1"), "物流", "王", TASK)
        log.give(sample("q2"), "退款", "李", TASK)
        samples, notes, _ = added(log, sample("1", label="材质"))
        assert ([each.label for each in samples], notes) == (["材质", "物流", "退款"], [])

    def test_within_the_file_are_none_of_its_business(self, log):
        log.give(sample("q1", "什么布"), "材质", "王", TASK)
        samples, notes, _ = added(log, sample("1", label="退款"), sample("2", label="退款"))
        assert ([each.id for each in samples], notes) == (["1", "2", "q1"], [])


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (replace(TASK, labels=TASK.labels[:1]), "as their task does not list the label any more"),
        (SEVERAL, "as samples of their task have several labels now"),
        (replace(TASK, name="other"), "as the project has no such task"),
    ],
)
def test_what_fits_the_task_no_more_is_told_and_not_used(log, task, told):
    log.give(sample("q1"), "物流", "王", TASK)
    samples, notes, used = added(log, task=task)
    assert (samples, used.words) == ([], {})
    assert notes == [f"1 samples with feedback are not used, {told}, 'q1'"]


def test_several_labels_are_not_used_where_samples_have_one_now(log):
    log.give(sample("q1"), ["物流"], "王", SEVERAL)
    assert added(log)[1] == [
        "1 samples with feedback are not used, as samples of their task have only one label now, 'q1'"
    ]


def test_people_who_disagree_are_a_finding_until_somebody_decides(log, tmp_path):
    log.give(sample("q1"), "物流", "王", TASK)
    log.give(sample("q1"), "退款", "李", TASK)
    log.give(sample("q2", "什么布"), "材质", "李", TASK)
    samples, _, used = added(log)
    [found] = check_feedback(used, GivenLabels(), [TASK])
    assert (found.kind, found.split, found.task, found.count) == ("feedback-apart", "train", "shop", 1)
    assert found.examples == ("q1: 王 物流, 李 退款",)
    labels = LabelLog(tmp_path / "labels.jsonl", feedback=log)
    labels.give(samples[0], "物流", "赵")
    assert list(check_feedback(used, labels.given(), [TASK])) == []
