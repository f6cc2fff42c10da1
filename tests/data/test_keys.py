"""Keys that no reader reads: those by which something may be lost are told, all others counted."""

import json

import pytest

from kdsl.data.checks import check_samples
from kdsl.data.keys import meant_key
from kdsl.data.notes import Notes
from kdsl.data.readers import read_samples
from kdsl.sample import Label, Task

INSTEAD = "is read instead: keep one of the two"
TASK = Task("t", (Label("退款"), Label("尺码")))


@pytest.fixture
def noted(write):
    """What is noted of a file of `records`."""

    def noted(*records: dict) -> Notes:
        notes = Notes()
        read_samples(write("data.jsonl", "\n".join(map(json.dumps, records))), [TASK], notes)
        return notes

    return noted


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["content", "Text", "TEXT ", "txt", "texts", "query", "Dialog", "文本", "对话", "\ufefftext"], "text"),
        (["labels", "Label", "lable", "category", "intent", "class", "标签", "意图_1"], "label"),
        (["image_path", "img", "Images", "imges", "pictures", "图片"], "images"),
        (["Audios", "audio_path", "recording", "录音", "语音"], "audio"),
        (["ID", "_id", "uuid", "sample-id", "编号"], "id"),
        (["source", "time", "meta", "date", "split", "lang", "test", "name", "url", "score", "来源", ""], None),
    ],
)  # fmt: skip
def test_what_a_key_probably_means(names, meant):
    assert {name: meant_key(name) for name in names} == dict.fromkeys(names, meant)


@pytest.mark.parametrize("key", ["content", "Text", "query", "turn", "dialogue", "内容"])
def test_a_lost_text_is_told_with_count_and_line(noted, key, caplog):
    lines = [
        {"text": "退", "label": "退款"},
        *({key: "多大码", "images": ["a.png"], "label": "尺码"} for _ in range(3)),
    ]
    assert [(found, noted_.count, noted_.first) for (found, _), noted_ in noted(*lines).unread.items()] == [
        (key, 3, "line 2")
    ]
    assert (
        f"data.jsonl: the key {key!r} of 3 samples is not read, the first in line 2; if it is the text, call it 'text'"
        in (caplog.text)
    )


@pytest.mark.parametrize(
    ("record", "key", "remedy"),
    [
        ({"text": "退", "Label": "不要"}, "Label", "if it is the label, call it 'label'"),
        ({"text": "退", "标签": "不要"}, "标签", "if it is the label, call it 'label'"),
        ({"text": "退", "imges": "a.png b"}, "imges", "if it is the images, call it 'images'"),
        ({"instruction": "退款 尺码", "label": "退款"}, "label", "if it is the label, call it 'output'"),
        ({"text": None, "Turns": [], "images": ["a"], "turnz": "x"}, "turnz", "if it is the text, call it 'text'"),
        ({"messages": [{"role": "user", "content": "退"}], "text": "码"}, "text", f"'messages' {INSTEAD}"),
        ({"text": "退", "images": ["a.png"], "image": "b.png"}, "image", f"'images' {INSTEAD}"),
    ],
)  # fmt: skip
def test_what_else_may_be_lost_and_what_to_do(noted, record, key, remedy):
    assert list(noted(record).unread) == [(key, remedy)]


@pytest.mark.parametrize(
    "extra",
    [
        {"source": "web"},
        {"meta": {"time": 3}},
        {"labels": ["退款"]},
        {"content": "退"},
        {"files": "a.txt"},
        {"ID": "7"},
    ],
)
def test_where_nothing_is_lost_a_key_is_only_counted(noted, extra, caplog):
    notes = noted({"id": "a", "text": "退", "label": "退款", **extra}, {"id": "b", "text": "码", "label": "尺码"})
    assert not notes.unread
    assert notes.unused == dict.fromkeys(extra, 1)
    assert caplog.text == ""


def test_empty_values_are_no_matter(noted):
    notes = noted({"text": "退", "labels": [], "content": "", "intent": None, "meta": {}})
    assert not notes.unread and not notes.unused


def test_keys_of_turns_and_messages_are_counted_too(noted):
    turns = [{"role": "user", "text": "退", "time": 3}]
    messages = [{"role": "user", "content": "退", "weight": 1}]
    assert noted({"turns": turns}, {"messages": messages}).unused == {"time of turns": 1, "weight of messages": 1}


def test_check_finds_what_may_be_lost_and_counts_the_rest(noted):
    notes = noted({"Text": "退", "images": ["a.png"], "source": "x"}, {"text": "码", "intent": "不要", "source": "y"})
    report = check_samples({"train": []}, [TASK], None, {"train": notes})
    [found] = [finding for finding in report.findings if finding.kind == "unread-keys"]
    assert (found.split, found.count) == ("train", 2)
    assert found.examples == (
        "Text: 1, the first in line 1; if it is the text, call it 'text'",
        "intent: 1, the first in line 2; if it is the label, call it 'label'",
    )
    assert report.unused == {"train": {"source": 2}}


def test_the_command_tells_both(write, kdsl):
    write("task.yaml", "name: t\nlabels: [{name: 退款}, {name: 尺码}]\n")
    write("kdsl.yaml", "tasks: [task.yaml]\ndata: {train: train.jsonl}\n")
    labels = ["退款", "尺码"] * 6
    lines = [
        {"id": f"{i * 7919 % 101}", "text": f"第{i}句" + "退码"[i % 2] * i, "label": label, "source": "web"}
        for i, label in enumerate(labels)
    ]
    folder = write("train.jsonl", "\n".join(map(json.dumps, lines))).parent
    result = kdsl("check", folder)
    assert result.code == 0, result.out
    assert "train: keys that are not used: source (12)" in result.out
    assert json.loads(kdsl("check", folder, "--format", "json").out)["unused_keys"] == {"train": {"source": 12}}
    for line in lines[1:]:
        line["lable"] = line.pop("label")
    write("train.jsonl", "\n".join(map(json.dumps, lines)))
    result = kdsl("check", folder)
    assert result.code == 1
    assert "lable: 11, the first in line 2; if it is the label, call it 'label'" in result.out
