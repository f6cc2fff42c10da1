"""`other` in a task file: the label of what belongs to none of the others."""

from pathlib import Path

import pytest

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.sample import Label, Task
from kdsl.tasks import load_task, task_text

LABELS = "labels:\n  - {name: 退款}\n  - {name: 尺码}\n"


def loaded(folder: Path, rest: str) -> Task:
    (folder / "shop.yaml").write_text(f"name: shop\n{LABELS}{rest}", "utf-8")
    return load_task("shop.yaml", folder)


def test_it_becomes_the_last_label_where_it_is_not_listed(tmp_path):
    task = loaded(tmp_path, "other: 都不是\n")
    assert task.label_names == ("退款", "尺码", "都不是")
    assert (task.other, task.other_index, task.unlisted_as_other) == ("都不是", 2, False)


def test_it_stays_where_it_is_listed_with_its_description(tmp_path):
    listed = "  - {name: 都不是, description: 与商品无关}\n  - {name: 物流}\nother: 都不是\n"
    task = loaded(tmp_path, listed)
    assert task.labels[2] == Label("都不是", "与商品无关") and task.other_index == 2


def test_without_it_everything_belongs_to_a_label(tmp_path):
    task = loaded(tmp_path, "")
    assert (task.other, task.other_index) == (None, None)


@pytest.mark.parametrize("unlisted", [True, False])
def test_a_task_is_written_as_it_was_read(tmp_path, unlisted):
    task = Task("shop", (Label("a"), Label("b"), Label("无")), "", "无", unlisted)
    (tmp_path / "again.yaml").write_text(task_text(task), "utf-8")
    assert load_task("again.yaml", tmp_path) == task


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("other: [都不是]\n", r"shop\.yaml, line 5: other: is .*write the name of a label"),
        ("other: ''\n", "is empty"),
        ("other: {unlisted: true}\n", "other.label"),
        ("other: 尺码\n", "beside '尺码', which `other` names, list at least two labels"),
    ],
)
def test_what_is_no_label_is_one_sentence(tmp_path, rest, message):
    with pytest.raises(KdslError, match=message):
        loaded(tmp_path, rest)


def test_labels_that_are_not_listed_are_read_as_other_where_the_file_says_so(tmp_path, caplog):
    file = tmp_path / "test.jsonl"
    file.write_text('{"text": "天气", "label": "闲聊"}\n{"text": "退", "label": "退款"}\n{"text": "无"}\n', "utf-8")
    task = loaded(tmp_path, "other: {label: 都不是, unlisted: true}\n")
    assert [sample.label for sample in read_samples(file, [task])] == ["都不是", "退款", None]
    assert "1 labels that shop does not list are read as '都不是'" in caplog.text
    plain = loaded(tmp_path, "other: 都不是\n")
    assert [sample.label for sample in read_samples(file, [plain])] == ["闲聊", "退款", None]
