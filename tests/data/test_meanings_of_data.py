"""Samples that say the same in other words: which labels look odd, and which test samples are known already."""

from itertools import pairwise

import numpy as np
import pytest
from concept_encoder import concept_vectors

from kdsl.data.checks import check_samples
from kdsl.data.meanings import check_meanings, near_pairs
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("t", (Label("退款"), Label("物流")))
encode = concept_vectors().of


def said(identity: str, *texts: str, label: str | None = "退款", images: tuple[str, ...] = ()) -> Sample:
    return Sample(identity, "t", tuple(Turn("user", text) for text in texts), images, label)


OTHERS = [said("o1", "快递呢", label="物流"), said("o2", "灯坏了", label="物流"), said("o3", "谢谢", label="物流")]


def pairs(*samples: Sample) -> list[tuple[str, str]]:
    given = [*samples, *OTHERS]
    return [(given[i].id, given[j].id) for i, j, _ in near_pairs(given, encode)]


def test_other_words_for_the_same_are_near():
    assert pairs(said("a", "退钱"), said("b", "要退款")) == [("a", "b")]
    assert pairs(said("a", "退钱"), said("b", "要退款"), said("c", "refund")) == [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    "other",
    [
        said("b", "退 钱"),  # word for word the same is found elsewhere
        said("b", "要退款", images=("b.png",)),  # what is asked for may stand in the image
        said("b", "快递呢", "要退款"),  # only the end is the same
        said("b", "要退款", "快递呢"),
        said("b", ""),
        Sample("b", "t", (Turn("agent", "要退款"),)),
    ],
)
def test_these_are_not_near(other):
    assert not {("a", "b")} & set(pairs(said("a", "退钱"), other))


def test_of_a_dialogue_all_that_the_user_said_counts():
    assert pairs(said("a", "灯", "退钱"), said("b", "亮度", "要退款")) == [("a", "b")]


def test_the_nearest_come_first():
    def encode(texts):
        angles = {"一": 0.0, "二": 0.3, "三": 0.1, "四": 2.0, "五": 4.0}
        return np.array([[np.cos(angles[text]), np.sin(angles[text])] for text in texts], dtype=np.float32)

    samples = [said(text, text) for text in "一二三四五"]
    found = list(near_pairs(samples, encode))
    assert [(i, j) for i, j, _ in found] == [(0, 2), (1, 2), (0, 1)]
    assert all(first[2] >= second[2] >= 0.9 for first, second in pairwise(found))


def test_nearness_is_told_from_what_is_usual_for_the_encoder():
    """To some encoders all texts are near: what counts is how much nearer these are."""

    def narrow(texts):
        vectors = np.concatenate([encode(texts), np.full((len(texts), 1), 4.0)], axis=1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    given = [said("a", "退钱"), said("b", "要退款"), *OTHERS]
    first, second = narrow(["退钱"]), narrow(["快递"])
    assert (first @ second.T).item() > 0.9
    assert [(i, j) for i, j, _ in near_pairs(given, narrow)] == [(0, 1)]


def test_samples_that_mean_the_same_and_have_different_labels_are_a_finding():
    samples = [said("a", "退钱"), said("b", "要退款", label="物流"), said("c", "refund", label=None), *OTHERS]
    [finding] = check_meanings({"train": samples}, [TASK], encode)
    assert (finding.kind, finding.split, finding.task, finding.count) == ("like-other-label", "", "t", 1)
    assert finding.examples == ("a: 退款 like b: 物流",)
    assert finding.message == (
        "pairs of samples mean nearly the same but have different labels; look whether both are right"
    )


def test_test_samples_that_are_known_in_other_words_are_a_finding():
    splits = {
        "train": [said("a", "退钱"), said("x", "refund"), *OTHERS],
        "test": [said("b", "要退款"), said("c", "包装")],
    }
    [finding] = check_meanings(splits, [TASK], encode)
    assert (finding.kind, finding.split, finding.count) == ("same-meaning", "test", 1)
    assert finding.examples == ("b like a",)


def test_near_duplicates_are_told_as_such_alone():
    long = "请问我上个星期在你们店里买的那个东西现在可以申请退钱吗"
    splits = {"train": [said("a", long), *OTHERS], "test": [said("b", f"{long}呢")]}
    report = check_samples(splits, [TASK], None, encode=encode)
    kinds = {finding.kind for finding in report.findings}
    assert "near-duplicates" in kinds and "same-meaning" not in kinds


def test_labels_of_both_splits_are_compared_and_told_with_the_split():
    splits = {"train": [said("a", "退钱"), *OTHERS], "test": [said("b", "要退款", label="物流")]}
    kinds = {finding.kind: finding for finding in check_meanings(splits, [TASK], encode)}
    assert kinds["like-other-label"].examples == ("train a: 退款 like test b: 物流",)


def test_other_tasks_are_other_worlds():
    other = Sample("b", "u", (Turn("user", "要退款"),), (), "物流")
    tasks = [TASK, Task("u", (Label("物流"),))]
    assert list(check_meanings({"train": [said("a", "退钱"), other, *OTHERS]}, tasks, encode)) == []


@pytest.mark.parametrize(("given", "found"), [(encode, True), (None, False)])
def test_without_an_encoder_nothing_is_compared(given, found):
    samples = [said("a", "退钱"), said("b", "要退款", label="物流"), *OTHERS]
    report = check_samples({"train": samples}, [TASK], None, encode=given)
    assert ("like-other-label" in {finding.kind for finding in report.findings}) == found


def test_a_text_that_no_vector_is_known_of_is_near_to_nothing():
    samples = [said("a", "退钱"), said("b", "要退款", label="物流")]
    assert list(near_pairs(samples, lambda texts: np.zeros((len(texts), 3), np.float32))) == []
