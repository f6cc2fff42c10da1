"""The file of reasons: made by machine, owned by people, matched with the samples as they are now."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.errors import KdslError
from kdsl.reasons.reason_file import Reason, ReasonFile
from kdsl.sample import Label, Sample, Task

TASKS = [Task("scene", (Label("退款"), Label("退货"))), Task("intent", (Label("调光"), Label("材质")))]
SAMPLES = [
    Sample("1", "scene", label="退款"),
    Sample("2", "scene", label="退货"),
    Sample("2", "intent", label="调光"),
]


def read(write, text: str) -> ReasonFile:
    return ReasonFile.read(write("reasons.jsonl", text), TASKS)


def test_reasons_are_found_by_task_and_id(write):
    file = read(write, '{"id": "1", "reason": "写着退款"}\n{"id": 2, "task": "intent", "reason": "问亮度"}\n')
    assert file.of_samples(SAMPLES) == {"scene": {"1": "写着退款"}, "intent": {"2": "问亮度"}}


def test_an_empty_reason_is_how_people_rule_one_out(write):
    file = read(write, '{"id": "1", "reason": ""}\n')
    assert file.of_samples(SAMPLES) == {}
    assert ("scene", "1") in file.matched(SAMPLES)


def test_a_reason_for_another_label_than_the_sample_has_now_is_not_used(write, caplog):
    text = '{"id": "1", "label": "退货", "reason": "旧"}\n{"id": "1", "label": "退款", "reason": "新"}\n'
    with caplog.at_level(logging.WARNING):
        assert read(write, text + '{"id": "9", "reason": "无"}\n').of_samples(SAMPLES) == {"scene": {"1": "新"}}
    told = [record.getMessage() for record in caplog.records]
    assert "1 reasons are for another label than their sample has now, the first in line 1" in told[0]
    assert "1 reasons are about samples that the training data do not have, the first in line 3" in told[1]


def test_a_line_that_may_be_about_samples_of_two_tasks_is_named(write):
    with pytest.raises(KdslError, match=r"line 1: samples of scene and intent have the id '2'; name the task"):
        read(write, '{"id": "2", "reason": "写着退货"}\n').of_samples(SAMPLES)
    assert read(write, '{"id": "2", "label": "退货", "reason": "写着退货"}\n').of_samples(SAMPLES) == {
        "scene": {"2": "写着退货"}
    }


def test_two_reasons_for_the_same_sample_are_an_error(write):
    file = read(write, '{"id": "1", "reason": "甲"}\n\n{"id": "1", "reason": "乙"}\n')
    with pytest.raises(KdslError, match=r"line 3: sample '1' has a reason in line 1 already; keep one of the two"):
        file.of_samples(SAMPLES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "1"}', r'reasons.jsonl, line 1: not a reason; expected {"id": "17", "reason": "…"}'),
        ('{"id": true, "reason": "x"}', "line 1: not a reason"),
        ('{"id": "1", "reason": "x", "label": 3}', "line 1: label is 3; it must be text in quotes"),
        ('{"id": "1", "reason": "x", "task": "x"}', "line 1: the task 'x' is none of the project's (scene, intent)"),
        ('{"id": "1", "reason": "x"', "line 1: not valid JSON"),
        ("[1]", "line 1: '[1]' is not a JSON object"),
    ],
)
def test_what_is_no_reason_is_named_by_line(write, line, message):
    with pytest.raises(KdslError) as caught:
        read(write, line + "\n")
    assert message in str(caught.value)


@given(st.lists(st.tuples(st.text(), st.text(), st.none() | st.just("退款"))))
def test_what_is_written_is_read_again(tmp_path_factory, rows):
    from kdsl.json_file import write_jsonl

    path = tmp_path_factory.mktemp("reasons") / "r.jsonl"
    whole = [
        (i.encode("utf-8", "replace").decode(), t.encode("utf-8", "replace").decode(), label) for i, t, label in rows
    ]
    reasons = [Reason(i, text.strip(), "m", None, label) for i, text, label in whole]
    write_jsonl(path, [reason.record() for reason in reasons])
    found = ReasonFile.read(path, TASKS).reasons
    assert [reason.record() for reason in found] == [reason.record() for reason in reasons]
