"""Samples with several labels: read from a list, checked by membership, written back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.checks import check_samples
from kdsl.data.readers import read_known, read_samples
from kdsl.data.record import labels_in
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


CHOSEN = ["尺码", "退款"]
"""By an annotator of a labelling tool."""


def chosen(labels):
    """An annotation of Label Studio."""
    return {"result": [{"from_name": "q", "type": "choices", "value": {"choices": labels}}]}


def prodigy(answer, labels):
    return {"text": "一", "options": [{"id": name} for name in CHOSEN], "accept": labels, "answer": answer}


TOOLS = {
    "Label Studio": lambda labels: {"data": {"text": "一"}, "annotations": [chosen(labels)]},
    "JSON_MIN": lambda labels: {"text": "一", "q": {"choices": labels}, "annotator": 1, "annotation_id": 7},
    "doccano": lambda labels: {"text": "一", "label": labels, "Comments": []},
    "Prodigy": lambda labels: prodigy("accept", labels),
    "Argilla": lambda labels: {
        "fields": {"text": "一"}, "responses": {"q": [{"value": labels, "status": "submitted"}]}, "metadata": {},
    },
    "Argilla data set": lambda labels: {"text": "一", "q.responses": [labels], "q.responses.status": ["submitted"]},
    "Argilla of old": lambda labels: {"text": "一", "annotation": labels, "prediction": None, "inputs": None},
    "spaCy": lambda labels: {"text": "一", "cats": {name: float(name in labels) for name in CHOSEN}},
}  # fmt: skip


def of_tool(write, *records, task=TASK):
    return read_samples(write("a.json", json.dumps(records, ensure_ascii=False)), [task])


@pytest.mark.parametrize("tool", TOOLS)
def test_what_annotators_chose_are_the_labels(write, tool):
    record = TOOLS[tool]
    found = of_tool(write, record(CHOSEN), record(["退款"]), record(["尺码"]), record([]))
    none = None if tool == "doccano" else ()  # whose exports do not tell it from unlabelled
    assert [sample.labels for sample in found] == [("退款", "尺码"), ("退款",), ("尺码",), none]


@pytest.mark.parametrize("tool", TOOLS)
def test_in_a_task_with_one_label_they_are_counted_and_unlabelled(write, tool, caplog):
    record, task = TOOLS[tool], replace(TASK, multi=False)
    found = of_tool(write, record(CHOSEN), record(["退款"]), record(["尺码"]), record([]), task=task)
    assert [(sample.label, sample.labels) for sample in found] == [
        (None, None), ("退款", None), ("尺码", None), (None, None),
    ]  # fmt: skip
    assert "1 samples with several labels, taken as unlabelled (with `multi: true` in the task file" in caplog.text


@pytest.mark.parametrize(
    "record",
    [
        {"data": {"text": "一"}, "annotations": []},
        {"data": {"text": "一"}, "annotations": [{**chosen(CHOSEN), "was_cancelled": True}]},
        prodigy("reject", ["退款"]),
        {"text": "一", "label": None, "answer": "accept"},
        {"fields": {"text": "一"}, "responses": {"q": [{"value": CHOSEN, "status": "draft"}]}, "metadata": {}},
        {"fields": {"text": "一"}, "responses": {"q": [{"value": None, "status": "submitted"}]}, "metadata": {}},
        {"text": "一", "annotation": None, "prediction": None, "inputs": None},
        {"text": "一", "cats": {}},
    ],
)
def test_what_nobody_answered_is_unlabelled_not_without_labels(write, record):
    assert of_tool(write, record)[0].labels is None


def test_who_chose_nothing_does_not_outvote_who_did(write):
    said = {"data": {"text": "一"}, "annotations": [chosen([]), chosen([]), chosen(CHOSEN)]}
    assert of_tool(write, said)[0].labels == ("退款", "尺码")


CELLS = {
    '["尺码", "退款"]': ("退款", "尺码"),
    '{"choices": ["尺码", "退款"]}': ("退款", "尺码"),
    '["退款"]': ("退款",),
    "[]": (),
    "退款": ("退款",),
    "": None,
}


@pytest.mark.parametrize("task", [TASK, Task("shop", (*TASK.labels, Label("[]"), Label('["退款"]')), multi=True)])
def test_a_cell_of_a_table_holds_a_list_as_json(write, task):
    """But where a label is called just so."""
    rows = "".join('一,"{}"\n'.format(cell.replace('"', '""')) for cell in CELLS)
    found = read_samples(write("a.csv", f"text,label\n{rows}"), [task])
    named = {cell: (cell,) for cell in task.label_names}
    assert [sample.labels for sample in found] == list(
        {**CELLS, **{c: named[c] for c in CELLS if c in named}}.values()
    )


def test_a_column_of_such_cells_is_found_without_a_name(write):
    rows = "".join(f'第{n}句,"[""{"退款" if n % 2 else "尺码"}""]"\n' for n in range(6))
    found = read_samples(write("a.csv", f"评论,主题\n{rows}"), [TASK])
    assert [sample.labels for sample in found[:2]] == [("尺码",), ("退款",)]


@given(st.text())
def test_any_other_cell_stays_as_it_is(cell):
    found = labels_in(cell)
    assert found == cell or (cell[0] in "[{" and isinstance(found, list))


@pytest.mark.parametrize("cell", ["[" * 100_000, "[广告]", '{"a": 1}', "{", "[1", '{"choices": 3}'])
def test_brackets_alone_make_no_list(cell):
    assert labels_in(cell) == cell


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
