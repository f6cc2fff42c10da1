"""Samples with several labels, and what was predicted for them, in the forms of other tools."""

import csv
import io
import json

import pytest

from kdsl.data.conversion.convert import convert_samples
from kdsl.data.conversion.forms import FORMS, form_named
from kdsl.data.conversion.item import Item, Predicted
from kdsl.data.conversion.records import argilla, label_studio
from kdsl.data.readers import read_samples
from kdsl.data.writers import plain_record
from kdsl.errors import KdslError
from kdsl.json_file import write_jsonl
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("topics", (Label("退款"), Label("质量, 做工"), Label("物流")), multi=True)
SAMPLES = [
    Sample(f"k{number}", "topics", (Turn("user", text),), labels=labels)
    for number, (text, labels) in enumerate(
        [("破了，退钱", ("退款", "质量, 做工")), ("到哪了", ("物流",)), ("你好", ()), ("在吗", None)]
    )
]
LINES = [
    {
        "id": sample.id, "task": "topics", "label": label, "probabilities": {"退款": 0.9, "质量, 做工": 0.8},
        "rules": [{"id": "r-1", "label": "退款"}], "decision": {"by": "rules", "label_without_rules": ["退款"],
        "reason": "退款: because"},
    }
    for sample, label in zip(SAMPLES, [["退款", "质量, 做工"], ["物流"], [], ["退款"]], strict=True)
]  # fmt: skip
SEVERAL = [form.name for form in FORMS if "several" in form.holds]


@pytest.fixture
def convert(tmp_path):
    def write(name, predictions=None, samples=SAMPLES):
        write_jsonl(tmp_path / "in.jsonl", map(plain_record, samples))
        lines = None
        if predictions is not None:
            lines = tmp_path / "predictions.jsonl"
            write_jsonl(lines, predictions)
        form = form_named(name)
        convert_samples(tmp_path / "in.jsonl", [TASK], form, tmp_path / f"out{form.ending}", lines)
        return tmp_path / f"out{form.ending}"

    return write


def require_extra(name):
    if name in ("xlsx", "parquet"):
        pytest.importorskip({"xlsx": "xlsxwriter", "parquet": "pyarrow"}[name], reason="needs an extra")
        pytest.importorskip({"xlsx": "python_calamine", "parquet": "pyarrow"}[name], reason="needs an extra")


def test_these_forms_hold_several():
    assert SEVERAL == ["jsonl", "csv", "xlsx", "parquet", "label-studio", "doccano", "prodigy", "argilla"]


@pytest.mark.parametrize("name", SEVERAL)
def test_labels_are_read_back_from_every_form_that_holds_several(convert, name, caplog):
    require_extra(name)
    found = read_samples(convert(name), [TASK])
    told = "1 samples on which no label holds, which doccano does not tell from samples without a label"
    if name == "doccano":
        assert [sample.labels for sample in found] == [SAMPLES[0].labels, SAMPLES[1].labels, None, None]
        assert told in caplog.text
    else:
        assert found == SAMPLES
        assert told not in caplog.text


@pytest.mark.parametrize("name", [form.name for form in FORMS if form.name not in SEVERAL])
def test_other_forms_are_refused_before_anything_is_read(convert, name, tmp_path):
    said = f"--format {name} has a place for one label a sample, and those of topics may have several; write jsonl, c"
    with pytest.raises(KdslError, match=said):
        convert(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_an_unlisted_label_beside_a_right_one_is_named(convert):
    wrong = Sample("x", "topics", (Turn("user", "开票"),), labels=("退款", "发票"))
    with pytest.raises(KdslError, match="line 1: the label '发票' is none of the labels of topics"):
        convert("csv", samples=[wrong])


@pytest.mark.parametrize("name", ["jsonl", "csv", "xlsx", "parquet", "label-studio", "argilla"])
def test_predictions_stand_beside_the_labels(convert, name):
    require_extra(name)
    assert [sample.labels for sample in read_samples(convert(name, LINES), [TASK])] == [s.labels for s in SAMPLES]


def test_in_a_table_a_list_is_json_whatever_its_length_and_confidence_has_no_place(convert):
    rows = list(csv.DictReader(io.StringIO(convert("csv", LINES).read_text("utf-8-sig"))))
    assert [row["label"] for row in rows] == ['["退款", "质量, 做工"]', '["物流"]', "[]", ""]
    assert [json.loads(row["predicted"]) for row in rows] == [line["label"] for line in LINES]
    assert rows[0]["label_without_rules"] == '["退款"]'
    assert "confidence" not in rows[0] and "runner_up" not in rows[0]


SAID = Predicted(("退款", "物流"), decided_by="rules", label_without_rules=("退款",), reason="because")


def test_label_studio_and_argilla_get_all_of_them():
    made = label_studio(Item(SAMPLES[0], TASK, {}, SAID))
    assert made["annotations"][0]["result"][0]["value"] == {"choices": ["退款", "质量, 做工"]}
    assert made["predictions"][0]["result"][0]["value"] == {"choices": ["退款", "物流"]}
    assert made["meta"]["kdsl"]["label_without_rules"] == ["退款"]
    made = argilla(Item(SAMPLES[0], TASK, {}, SAID))
    assert made["suggestions"]["topics"]["value"] == ["退款", "物流"]
    assert made["metadata"]["label"] == ["退款", "质量, 做工"]


def test_what_no_label_holds_on_is_answered_and_what_nobody_labelled_is_not():
    held, unknown = (label_studio(Item(sample, TASK))["annotations"] for sample in SAMPLES[2:])
    assert held[0]["result"][0]["value"] == {"choices": []} and unknown == []


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (["退款", "发票"], "line 1: sample 'k0': the label '发票' is none of the labels of topics"),
        (
            "退款",
            "line 1: sample 'k0': the label is '退款', but a sample of topics may have several; write a list of th",
        ),
        ([["退款"]], r"line 1: sample 'k0': the label \['退款'\] is none of the labels of topics"),
    ],
)
def test_a_prediction_that_is_none_is_named_by_its_line(convert, label, message):
    with pytest.raises(KdslError, match=message):
        convert("csv", [{**LINES[0], "label": label}])
