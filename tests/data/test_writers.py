"""ShareGPT messages and the challenge's submission."""

import csv
import json

import pytest

from kdsl.data.readers import read_samples
from kdsl.data.writers import read_predicted_labels, write_sharegpt, write_submission
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn


def test_sharegpt_files_are_read_back_as_the_same_samples(tmp_path, dialogue_task, image_task):
    samples = [
        Sample(
            "1",
            "intent",
            (Turn("user", "亮吗", ("a.jpg", "b.jpg")), Turn("agent", "")),
            ("a.jpg", "b.jpg"),
            "能否调光",
        ),
        Sample("2", "intent", (Turn("user", "没有标签"),)),
        Sample("3", "scene", (), ("c.jpg",), "退款页面"),
    ]
    path = tmp_path / "out.json"
    write_sharegpt(samples, [dialogue_task, image_task], path)
    assert read_samples(path, [dialogue_task, image_task]) == samples


def test_a_message_has_one_placeholder_for_every_image(tmp_path, dialogue_task, image_task):
    samples = [
        Sample("1", "intent", (Turn("user", "亮吗", ("a",)),), ("a", "b")),
        Sample("2", "scene", (), ("a", "b", "c")),
        Sample("3", "scene"),
    ]
    write_sharegpt(samples, [dialogue_task, image_task], tmp_path / "out.json")
    records = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [record["messages"][0]["content"].count("<image>") for record in records] == [2, 3, 0]
    assert records[0]["messages"][0]["content"].endswith('标签：["能否调光","商品材质"]\n')


def test_a_task_without_a_prompt_gives_the_bare_text(tmp_path):
    task = Task("t", (Label("a"), Label("b")))
    samples = [Sample("1", "t", (Turn("user", "lost card"),), (), "a"),
               Sample("2", "t", (Turn("user", "灯"), Turn("agent", "在")), (), "b")]  # fmt: skip
    write_sharegpt(samples, [task], tmp_path / "out.json")
    records = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert records[0]["messages"] == [{"role": "user", "content": "lost card"}, {"role": "assistant", "content": "a"}]
    assert records[1]["messages"][0]["content"] == "User: 灯\nAgent: 在"
    assert read_samples(tmp_path / "out.json", [task]) == samples


ITEMS = [{"id": "x1", "instruction": "看图\n分类", "image": ["a.jpg", "b.jpg"], "output": ""},
         {"id": 2, "instruction": "看,图", "image": [], "output": ""}]  # fmt: skip


def test_a_submission_keeps_the_test_columns_and_adds_the_prediction(tmp_path, write):
    test = write("test.json", json.dumps(ITEMS))
    write_submission(test, {"x1": "退款页面", "2": "支付页面", "3": "no matter"}, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfid,instruction,image,output,predict\n")
    with open(tmp_path / "out.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        ["x1", "看图\n分类", '["a.jpg", "b.jpg"]', "", "退款页面"],
        ["2", "看,图", "[]", "", "支付页面"],
    ]


def test_a_submission_from_a_csv_replaces_its_predict_column(tmp_path, write):
    test = write("test.csv", '\ufeffid,instruction,image,predict\nx1,"看,图","[""a.jpg""]",old\n')
    write_submission(test, {"x1": "退款页面"}, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8-sig") == (
        'id,instruction,image,predict\nx1,"看,图","[""a.jpg""]",退款页面\n'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(ITEMS), "element 2: no prediction for id '2'; predict this file first"),
        ('[{"instruction": "a"}]', "element 1: has no id"),
        ("[]", "holds no samples"),
        ("{}", "not a test file; expected a JSON list"),
        ('["a"]', "not a test file; expected a JSON list"),
    ],
)
def test_a_submission_that_cannot_be_complete_is_not_written(tmp_path, write, text, message):
    with pytest.raises(KdslError, match=message):
        write_submission(write("test.json", text), {"x1": "退款页面"}, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_predicted_labels(write):
    assert read_predicted_labels(write("p.jsonl", '{"id": "1", "label": "退款页面", "task": "scene"}\n')) == {
        "1": "退款页面"
    }
    with pytest.raises(KdslError, match=r"p\.jsonl, line 1: not a prediction; expected"):
        read_predicted_labels(write("p.jsonl", '{"id": 1, "label": "a"}'))
    with pytest.raises(KdslError, match="line 2: id '1' is predicted twice"):
        read_predicted_labels(write("p.jsonl", '{"id": "1", "label": "a"}\n{"id": "1", "label": "b"}\n'))
