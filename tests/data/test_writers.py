"""Plain records and prompts with answers, which are read back as the samples they were."""

from kdsl.data.readers import read_samples
from kdsl.data.writers import plain_record, said_in_prompt
from kdsl.json_file import write_jsonl
from kdsl.sample import Label, Sample, Task, Turn


def test_a_prompt_has_one_placeholder_for_every_image(dialogue_task, image_task):
    samples = [
        (Sample("1", "intent", (Turn("user", "亮吗", ("a",)),), ("a", "b")), dialogue_task),
        (Sample("2", "scene", (), ("a", "b", "c")), image_task),
        (Sample("3", "scene"), image_task),
    ]
    said = [said_in_prompt(sample, task) for sample, task in samples]
    assert [messages[0]["content"].count("<image>") for messages in said] == [2, 3, 0]
    assert said[0][0]["content"].endswith('标签：["能否调光","商品材质"]\n')
    assert [len(messages) for messages in said] == [1, 1, 1]


def test_a_task_without_a_prompt_gives_the_bare_text_and_the_label_as_the_answer():
    task = Task("t", (Label("a"), Label("b")))
    one = said_in_prompt(Sample("1", "t", (Turn("user", "lost card"),), (), "a"), task)
    assert one == [{"role": "user", "content": "lost card"}, {"role": "assistant", "content": "a"}]
    several = said_in_prompt(Sample("2", "t", (Turn("user", "灯"), Turn("agent", "在")), (), "b"), task)
    assert several[0]["content"] == "User: 灯\nAgent: 在"


def test_a_copy_says_what_it_is_a_copy_of_and_is_read_back_as_one(tmp_path, dialogue_task):
    copies = [Sample("1+1", "intent", (Turn("user", "亮吗"),), (), "能否调光", copy_of="1"), Sample("1+2", "intent")]
    write_jsonl(tmp_path / "plain.jsonl", map(plain_record, copies))
    assert read_samples(tmp_path / "plain.jsonl", [dialogue_task]) == copies
