"""The challenge's submission: every item with a label of its task, or no file at all."""

import csv
import json
from pathlib import Path

import pytest

from kdsl.data.dialogue import END_MARKER, START_MARKER
from kdsl.data.submission import write_submission
from kdsl.errors import KdslError
from kdsl.sample import Label, Task

ITEMS = [{"id": "x1", "instruction": "看图\n分类", "image": ["a.jpg", "b.jpg"], "output": ""},
         {"id": 2, "instruction": "看,图", "image": [], "output": ""}]  # fmt: skip
LABELS = [{"id": "x1", "label": "退款页面"}, {"id": "2", "label": "支付页面"}]
SCENE = Task("scene", (Label("退款页面"), Label("支付页面")))
INTENT = Task("intent", (Label("能否调光"), Label("其他")), START_MARKER + "{dialogue}" + END_MARKER)


def submitted(
    folder: Path, items: str, labels: list[object], *tasks: Task, name: str = "test.json"
) -> list[list[str]]:
    """The rows of the CSV."""
    (folder / name).write_text(items, "utf-8")
    lines = "".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels)
    (folder / "p.jsonl").write_text(lines, "utf-8")
    write_submission(folder / name, folder / "p.jsonl", tasks or [SCENE], folder / "out.csv")
    with open(folder / "out.csv", encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_a_submission_keeps_the_test_columns_and_adds_the_prediction(tmp_path):
    rows = submitted(tmp_path, json.dumps(ITEMS), [*LABELS, {"id": "3", "label": "支付页面"}])
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfid,instruction,image,output,predict\n")
    assert rows[1:] == [
        ["x1", "看图\n分类", '["a.jpg", "b.jpg"]', "", "退款页面"],
        ["2", "看,图", "[]", "", "支付页面"],
    ]


def test_a_submission_from_a_csv_replaces_its_predict_column(tmp_path):
    items = '\ufeffid,instruction,image,predict\nx1,"看,图","[""a.jpg""]",old\n'
    submitted(tmp_path, items, LABELS, name="test.csv")
    assert (tmp_path / "out.csv").read_text("utf-8-sig") == (
        'id,instruction,image,predict\nx1,"看,图","[""a.jpg""]",退款页面\n'
    )


def refused(folder: Path, items: object, labels: list[object], *tasks: Task) -> str:
    """The sentence; no file is there afterwards."""
    with pytest.raises(KdslError) as error:
        submitted(folder, json.dumps(items), labels, *tasks)
    assert not (folder / "out.csv").exists()
    return str(error.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([*ITEMS, {"id": 3}], "test.json, element 3: no prediction for id '3' of scene; predict this file first"),
        ([{"instruction": "a"}], "test.json, element 1: has no id; a submission needs one for every item"),
        ([{"id": True}], "test.json, element 1: has no id; a submission needs one for every item"),
        ([ITEMS[0], ITEMS[0]], "test.json, element 2: the id 'x1' stands in element 1 too; give each item its own"),
        ([], "test.json: holds no samples"),
        ({}, "test.json: not a test file; expected a JSON list"),
        (["a"], "test.json: not a test file; expected a JSON list"),
    ],
)
def test_items_that_cannot_be_predicted_are_named(tmp_path, items, message):
    assert refused(tmp_path, items, LABELS).startswith(message)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("退款", "the label '退款' is none of the labels of scene; write one of 退款页面, 支付页面"),
        ("能否调光", "the label '能否调光' is none of the labels of scene"),
        (" 退款页面\n", r"the label ' 退款页面\n' is none of the labels of scene; write '退款页面', without spaces"),
        ("", "the label '' is none of"),
        (None, "the label null is none of the labels of scene"),
        (3, "the label 3 is none of"),
        (["退款页面"], "the label ['退款页面'] is none of"),
    ],
)
def test_a_label_that_is_none_of_the_task_s_is_named_with_its_line(tmp_path, label, message):
    told = refused(tmp_path, ITEMS, [LABELS[1], {"id": "x1", "label": label}])
    assert told.startswith(f"p.jsonl, line 2: sample 'x1': {message}")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"id": "x1"}], 'p.jsonl, line 1: not a prediction; expected {"id": "1", "label": "…"}'),
        ([{"label": "退款页面"}], "p.jsonl, line 1: not a prediction"),
        ([LABELS[0], LABELS[0]], "p.jsonl, line 2: id 'x1' is predicted twice; keep one line an id"),
        ([{**LABELS[0], "task": "x"}], "p.jsonl, line 1: the task 'x' is none of the project's (scene)"),
        ([{**LABELS[0], "task": ["scene"]}], "p.jsonl, line 1: the task ['scene'] is none of the project's (scene)"),
    ],
)
def test_predictions_of_another_shape_are_named(tmp_path, labels, message):
    assert refused(tmp_path, ITEMS, labels).startswith(message)


BOTH = [{"id": "1", "instruction": "看图分类"}, {"id": "1", "instruction": f"{START_MARKER}{END_MARKER}"}]


def test_items_of_two_tasks_may_share_their_ids(tmp_path):
    labels = [{"id": "1", "task": "intent", "label": "其他"}, {"id": "1", "task": "scene", "label": "支付页面"}]
    rows = submitted(tmp_path, json.dumps(BOTH), labels, SCENE, INTENT)
    assert [row[-1] for row in rows[1:]] == ["支付页面", "其他"]


def test_an_item_has_the_label_of_its_own_task(tmp_path):
    labels = [{"id": "1", "task": "intent", "label": "其他"}, {"id": "1", "task": "scene", "label": "支付页面"}]
    only = {"id": "1", "label": "其他"}
    assert refused(tmp_path, BOTH[:1], [only], SCENE, INTENT).startswith(
        "p.jsonl, line 1: sample '1': the label '其他' is none of the labels of scene"
    )
    assert refused(tmp_path, BOTH, labels[:1], SCENE, INTENT).startswith(
        "test.json, element 1: no prediction for id '1' of scene"
    )
    assert refused(tmp_path, [{"id": 1}], labels, SCENE, INTENT).startswith(
        "test.json, element 1: id '1' is predicted for intent and scene, and the item does not say which it is of"
    )
