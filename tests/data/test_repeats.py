"""Samples with the same content: contradictory labels and repeats."""

from pathlib import Path

import pytest

from kdsl.data.repeats import check_repeats, same_content
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("t", (Label("退款"), Label("尺码")))


def said(identity: str, text: str, label: str | None = "退款", *images: str, task: str = "t") -> Sample:
    return Sample(identity, task, (Turn("user", text),), images, label)


@pytest.fixture
def found(tmp_path):
    """(kind, split) → the finding; images lie in tmp_path."""

    def found(train, test=(), images: Path | None = tmp_path):
        splits = {"train": train} | ({"test": test} if test else {})
        findings = check_repeats(splits, [TASK], images)
        return {(finding.kind, finding.split): finding for finding in findings}

    return found


def test_different_samples_are_no_findings(found):
    assert found([said("a", "退"), said("b", "码"), said("c", ""), Sample("d", "t"), Sample("e", "t")]) == {}


def test_the_same_text_with_two_labels_contradicts_itself(found):
    findings = found(
        [said("a", "退吗", "退款"), said("b", "退吗", "尺码"), said("c", "退吗", "退款"), said("d", "码")]
    )
    contradiction = findings["contradictory-labels", ""]
    assert contradiction.count == 3
    assert contradiction.examples == ("a: 退款, b: 尺码, …",)
    assert findings["repeats", "train"].examples == ("2 times: a, c",)


def test_training_and_test_samples_contradict_each_other_too(found):
    findings = found([said("a", "退吗？", "退款")], [said("a", "退吗?", "尺码")])
    assert list(findings) == [("contradictory-labels", "")]
    assert findings["contradictory-labels", ""].examples == ("train a: 退款, test a: 尺码",)


def test_a_sample_without_a_label_contradicts_nothing(found):
    assert found([said("a", "退", "退款"), said("b", "退", None)]) == {}


def test_one_text_nine_times_is_one_finding_of_eight(found):
    samples = [said(f"y{i}", "退吗") for i in range(9)] + [said("z0", "码"), said("z1", "码"), said("other", "别的")]
    repeats = found(samples)["repeats", "train"]
    assert repeats.count == 9
    assert repeats.examples == ("9 times: y0, y1, y2, y3, …", "2 times: z0, z1")


def test_case_width_and_spaces_make_no_new_text(found):
    findings = found([said("a", "ＯＫ， 退 吗"), said("b", "ok,退吗"), said("c", "ok,退吗"), said("d", "ok,退码")])
    assert findings["near-repeats", "train"].examples == ("3 times: a, b, c",)
    assert findings["near-repeats", "train"].count == findings["repeats", "train"].count == 1


def test_another_screenshot_or_speaker_makes_another_content(found, tmp_path):
    (tmp_path / "a.png").write_bytes(b"page 1")
    (tmp_path / "b.png").write_bytes(b"page 2")
    by_agent = Sample("d", "t", (Turn("agent", "看"),), (), "退款")
    assert found([said("a", "看", "退款", "a.png"), said("b", "看", "尺码", "b.png"), said("c", "看"), by_agent]) == {}


def test_the_same_picture_under_another_name_makes_none(found, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"page 1")
    findings = found([said("a", "看", "退款", "a.png"), said("b", "看", "尺码", "b.png")])
    assert findings["contradictory-labels", ""].count == 2
    assert list(found([said("a", "", "退款", "a.png"), said("b", "", "退款", "b.png")])) == [("near-repeats", "train")]
    assert found([said("a", "", "退款", "a.png"), said("b", "", "退款", "b.png")], images=None) == {}


def test_samples_of_two_tasks_are_never_the_same(found):
    assert found([said("a", "退", "退款"), said("b", "退", "尺码", task="u")]) == {}


def test_samples_that_say_the_same_are_grouped_whatever_their_labels():
    samples = [
        said("a", "退 款"),
        said("b", "尺码"),
        said("c", "退款", "尺码"),
        said("d", "退款", None),
        said("e", "材质"),
    ]
    assert [[sample.id for sample in group] for group in same_content(samples, None)] == [["a", "c", "d"]]
