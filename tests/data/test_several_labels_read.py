"""Samples with several labels: read from a list, checked by membership, written back."""

import pytest

from kdsl.data.checks import check_samples
from kdsl.data.readers import read_known, read_samples
from kdsl.data.writers import plain_record
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("退款"), Label("尺码")), multi=True)


def read(write, *lines):
    return [sample.labels for sample in read_samples(write("a.jsonl", "\n".join(lines)), [TASK])]


def test_a_list_holds_all_labels_and_an_empty_one_says_that_none_holds(write):
    labels = read(
        write,
        '{"text": "一", "label": ["尺码", "退款"]}',
        '{"text": "二", "label": []}',
        '{"text": "三", "label": null}',
        '{"text": "四"}',
        '{"text": "五", "label": "退款"}',
    )
    assert labels == [("退款", "尺码"), (), None, None, ("退款",)]


def test_the_key_may_be_called_labels(write):
    assert read(write, '{"text": "一", "labels": ["退款"]}', '{"text": "二", "labels": []}') == [("退款",), ()]


def test_the_answer_of_messages_is_the_only_label(write):
    line = '{"messages": [{"role": "user", "content": "退钱"}, {"role": "assistant", "content": "退款"}]}'
    [sample] = read_samples(write("a.jsonl", line), [TASK])
    assert sample.label is None and sample.labels == ("退款",)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ('["退款", "退款"]', r"line 1: label names '退款' twice; keep one of the two"),
        ("[[]]", r"line 1: label is \[\]; it must be a list of labels' names like"),
        ("[3]", r"line 1: label is 3, which is no label's name; labels are '退款', '尺码'"),
    ],
)
def test_a_list_of_anything_else_is_named(write, label, message):
    with pytest.raises(KdslError, match=message):
        read(write, f'{{"text": "一", "label": {label}}}')


def test_a_label_that_the_task_does_not_list_is_not_learned(write):
    path = write("a.jsonl", '{"text": "一", "label": ["退款", "发票"]}')
    with pytest.raises(KdslError, match="the label '发票' is none of the labels of shop"):
        read_known(path, [TASK])


@pytest.mark.parametrize("labels", [None, (), ("退款", "尺码")])
def test_what_is_written_is_read_as_the_same(write, labels):
    import json

    sample = Sample("1", "shop", (Turn("user", "一"),), labels=labels)
    path = write("a.jsonl", json.dumps(plain_record(sample), ensure_ascii=False))
    assert read_samples(path, [TASK]) == [sample]


def sample(number: int, text: str, *labels: str) -> Sample:
    return Sample(str(number), "shop", (Turn("user", text),), labels=labels)


def test_check_counts_a_sample_for_each_of_its_labels():
    samples = [sample(1, "一", "退款", "尺码"), sample(2, "二", "退款"), sample(3, "三"), Sample("4", "shop")]
    report = check_samples({"train": samples}, [TASK], None)
    counts = {label: found["train"] for label, found in report.counts["shop"].items()}
    assert counts == {"退款": 2, "尺码": 1, None: 1, "(none holds)": 1}
    assert report.totals == {"shop": {"train": 4}}


def test_samples_alike_contradict_each_other_when_their_sets_of_labels_differ():
    samples = [
        sample(1, "同样", "退款", "尺码"),
        sample(2, "同样", "退款"),
        sample(3, "一样", "尺码"),
        sample(4, "一样", "尺码"),
    ]
    found = {each.kind: each for each in check_samples({"train": samples}, [TASK], None).findings}
    assert found["contradictory-labels"].examples == ("1: 退款 + 尺码, 2: 退款",)
    assert found["repeats"].count == 1


def test_an_unlisted_label_beside_a_right_one_is_found():
    report = check_samples({"train": [sample(1, "一", "退款", "发票")]}, [TASK], None)
    assert ("1: 发票",) in [each.examples for each in report.findings if each.kind == "unknown-labels"]


def test_one_label_is_enough_to_learn_where_it_holds_on_some_samples_only():
    some = [sample(1, "一", "退款"), sample(2, "二")]
    kinds = [each.kind for each in check_samples({"train": some}, [TASK], None).findings]
    assert "one-label" not in kinds
    every = [sample(1, "一", "退款"), sample(2, "二", "退款")]
    assert "one-label" in [each.kind for each in check_samples({"train": every}, [TASK], None).findings]
