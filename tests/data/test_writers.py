"""Plain records and ShareGPT messages, which are read back as the samples they were."""

import json

from kdsl.data.readers import read_samples
from kdsl.data.writers import plain_record, write_sharegpt
from kdsl.json_file import write_jsonl
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


def test_a_copy_says_what_it_is_a_copy_of_and_is_read_back_as_one(tmp_path, dialogue_task):
    copies = [Sample("1+1", "intent", (Turn("user", "亮吗"),), (), "能否调光", copy_of="1"), Sample("1+2", "intent")]
    write_sharegpt(copies, [dialogue_task], tmp_path / "out.json")
    write_jsonl(tmp_path / "plain.jsonl", map(plain_record, copies))
    for name in ("out.json", "plain.jsonl"):
        assert read_samples(tmp_path / name, [dialogue_task]) == copies
