"""Reading samples: three formats, detected; every wrong shape one sentence with file and place."""

import bz2
import gzip
import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.forms import HEAD
from kdsl.data.readers import iterate_samples, read_samples
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

OTHER = Task("other", (Label("a"), Label("b")))


@pytest.fixture
def read(write, dialogue_task, image_task):
    """Read `content` (text, or a value to be written as JSON) as a file of the two tasks, or of `tasks`."""

    def read(content, tasks=(dialogue_task, image_task), name="data.json"):
        text = content if isinstance(content, str) else json.dumps(content)
        return read_samples(write(name, text), tasks)

    return read


def instruction(dialogue: str, labels: str = '["能否调光","商品材质"]') -> str:
    return f"判断意图。\n<用户与客服的对话 START>\n{dialogue}\n<用户与客服的对话 END>\n标签：{labels}\n"


SCENE = {
    "id": "s1",
    "instruction": "Picture 1: <image>\n请分类：支付页面、退款页面",
    "input": "",
    "output": "支付页面",
    "image": ["p.jpg"],
}


class TestMire:
    def test_a_dialogue_is_cut_into_turns_and_placeholders_become_images(self, read):
        dialogue = "用户: 这个灯<image>\n客服: \n用户：能调光吗\n第二行 <http>\n客服: 可以<image>"
        record = {"id": 7, "instruction": instruction(dialogue), "input": "", "output": "能否调光",
                  "image": ["a.jpg", "b.jpg", "c.jpg"]}  # fmt: skip
        [sample] = read([record])
        assert sample == Sample(
            id="7",
            task="intent",
            turns=(
                Turn("user", "这个灯", ("a.jpg",)),
                Turn("agent", ""),
                Turn("user", "能调光吗\n第二行 <http>"),
                Turn("agent", "可以", ("b.jpg",)),
            ),
            images=("a.jpg", "b.jpg", "c.jpg"),
            label="能否调光",
        )

    def test_an_instruction_without_markers_is_the_task_without_a_dialogue(self, read):
        assert read([SCENE]) == [Sample("s1", "scene", (), ("p.jpg",), "支付页面")]

    def test_of_several_tasks_the_one_whose_labels_stand_in_the_instruction_is_taken(self, read, image_task):
        other = Task("other", (Label("商品"), Label("店铺")), "看图：{labels}")
        assert read([SCENE], [other, image_task])[0].task == "scene"

    @pytest.mark.parametrize("output", [None, ""])
    def test_an_empty_output_is_no_label(self, read, output):
        assert read([{**SCENE, "output": output}])[0].label is None

    def test_a_placeholder_without_an_image_stays_visible(self, read):
        [sample] = read([{"instruction": instruction("用户: 看<image>这里")}])
        assert sample.turns == (Turn("user", "看<image>这里"),)

    def test_an_empty_dialogue_is_a_sample_without_turns(self, read):
        assert read([{"instruction": instruction("")}])[0].turns == ()

    def test_a_missing_id_is_the_number_of_the_element(self, read):
        record = {key: value for key, value in SCENE.items() if key != "id"}
        assert [sample.id for sample in read([record, SCENE, record])] == ["1", "s1", "3"]

    def test_samples_of_other_tasks_are_counted_in_a_warning(self, read, image_task, caplog):
        samples = read([SCENE, {"instruction": instruction("用户: 好")}], [image_task])
        assert [sample.id for sample in samples] == ["s1"]
        assert "data.json: 1 samples of other tasks left out (1 with instructions with a dialogue)" in caplog.text

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"instruction": 3}, "element 1: instruction is 3; it must be text"),
            ({"instruction": instruction("好的\n用户: 好")}, "element 1: the dialogue .* is wrong: '好的' does"),
            ({"instruction": "<用户与客服的对话 START>\n用户: 好"}, "element 1: the instruction has one"),
            ({"output": {"a": 1}}, r"element 1: output is \{'a': 1\}; it must be a label's name"),
            ({"image": 3}, "element 1: image is 3; it must be a list of file names"),
            ({"image": ["a.jpg", 4]}, "element 1: image is 4; it must be a file name"),
            ({"id": [1]}, r"element 1: id is \[1\]; it must be a text or a whole number"),
            ({"id": True}, "element 1: id is True"),
            ({"id": " "}, "element 1: id is ' '"),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_named(self, read, change, message):
        with pytest.raises(KdslError, match=f"data.json, {message}"):
            read([{**SCENE, **change}])


class TestShareGpt:
    def test_a_filled_prompt_and_its_answer(self, read):
        messages = [
            {"role": "system", "content": "你是客服"},
            {"role": "user", "content": instruction("用户: 亮<image>\n客服: 好")},
            {"role": "assistant", "content": "能否调光"},
        ]
        assert read([{"id": "a", "messages": messages, "images": ["a.jpg"]}]) == [
            Sample("a", "intent", (Turn("user", "亮", ("a.jpg",)), Turn("agent", "好")), ("a.jpg",), "能否调光")
        ]

    @pytest.mark.parametrize(
        "dialogue", ["User: hi<image>\nAgent: yes\n用户: no", "用户: hi<image>\n客服: yes\n用户: no"]
    )
    def test_an_english_task_s_prompt_with_speakers_of_either_language(self, read, dialogue):
        task = Task("t", (Label("refund"), Label("exchange")), "Which class?\n{dialogue}\nClasses: {labels}")
        content = f'Which class?\n{dialogue}\nClasses: ["refund","exchange"]'
        [sample] = read([{"messages": [{"role": "user", "content": content}], "images": ["a.jpg"]}], [task])
        turns = [(turn.role, turn.text, turn.images) for turn in sample.turns]
        english = [("agent", "yes\n用户: no", ())]
        assert turns[0] == ("user", "hi", ("a.jpg",))
        assert turns[1:] == (english if dialogue.startswith("User") else [("agent", "yes", ()), ("user", "no", ())])

    def test_a_prompt_for_an_image(self, read):
        messages = [{"from": "human", "value": 'Picture 1: <image>\n请分类：["支付页面","退款页面"]。'},
                    {"from": "gpt", "value": "支付页面"}]  # fmt: skip
        assert read([{"conversations": messages, "images": ["a.jpg"]}]) == [
            Sample("1", "scene", (), ("a.jpg",), "支付页面")
        ]

    def test_a_dialogue_that_ends_with_an_agent_is_not_cut_short(self, read, dialogue_task):
        messages = [{"role": "user", "content": "灯"}, {"role": "assistant", "content": "在"},
                    {"role": "user", "content": "<image>能调吗"}, {"role": "assistant", "content": "能"}]  # fmt: skip
        [sample] = read([{"messages": messages, "images": "a.jpg"}], [dialogue_task])
        assert [turn.text for turn in sample.turns] == ["灯", "在", "能调吗", "能"]
        assert (sample.turns[2].images, sample.label) == (("a.jpg",), None)

    def test_a_dialogue_with_the_label_as_last_message_or_as_key(self, read, dialogue_task):
        messages = [{"role": "user", "content": "灯"}, {"role": "assistant", "content": "在"},
                    {"role": "user", "content": "能调吗"}]  # fmt: skip
        answered = [*messages, {"role": "assistant", "content": "能否调光"}]
        by_answer, by_key = read(
            [{"messages": answered}, {"messages": messages, "label": "能否调光"}], [dialogue_task]
        )
        assert by_answer.label == by_key.label == "能否调光"
        assert by_answer.turns == by_key.turns
        assert len(by_key.turns) == 3

    def test_the_label_tells_the_task(self, read, dialogue_task, image_task):
        messages = [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": "退款页面"}]
        assert read([{"messages": messages, "images": ["a"]}], [OTHER, image_task])[0].task == "scene"

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ({"messages": "hi"}, "element 1: messages is 'hi'; it must be a list"),
            ({"messages": ["hi"]}, "element 1: message 1 is 'hi'; it must be like"),
            (
                {"messages": [{"role": "boss", "content": "hi"}]},
                "element 1: the role 'boss' is unknown; roles are user",
            ),
            ({"messages": [{"role": "user"}]}, "element 1: the content of message 1 is missing; it must be text"),
            (
                {"messages": [{"role": "user", "content": "你好"}]},
                "element 1: the project has 2 tasks and this sample does",
            ),
        ],
    )
    def test_a_wrong_value_is_named(self, read, record, message):
        with pytest.raises(KdslError, match=f"data.json, {message}"):
            read([record])


class TestPlain:
    def test_text_turns_and_images(self, read, dialogue_task):
        lines = [
            {"id": "a", "text": "能调光吗", "label": "能否调光", "source": "anything"},
            {"id": "b", "turns": [{"role": "用户", "text": "看", "images": ["x.jpg"]}, {"role": "客服", "text": ""}],
             "images": ["y.jpg"]},
            {"id": "c", "images": "z.jpg"},
        ]  # fmt: skip
        samples = read("\n".join(map(json.dumps, lines)) + "\n\n", [dialogue_task], "data.jsonl")
        assert samples == [
            Sample("a", "intent", (Turn("user", "能调光吗"),), (), "能否调光"),
            Sample("b", "intent", (Turn("user", "看", ("x.jpg",)), Turn("agent", "")), ("y.jpg", "x.jpg"), None),
            Sample("c", "intent", (), ("z.jpg",), None),
        ]

    def test_with_several_tasks_every_sample_names_its_own(self, read):
        assert [s.task for s in read([{"text": "a", "task": "scene"}, {"text": "b", "task": "intent"}])] == [
            "scene",
            "intent",
        ]
        with pytest.raises(
            KdslError, match=r'element 1: the project has 2 tasks .*; add "task": "intent" or "task": "scene"'
        ):
            read([{"text": "a"}])

    @pytest.mark.parametrize(("identity", "read_as"), [(7, "7"), (7.0, "7"), ("7.0", "7.0"), (-0.0, "0")])
    def test_a_whole_number_is_an_id_however_it_is_written(self, read, dialogue_task, identity, read_as):
        assert read(json.dumps({"id": identity, "text": "a"}), [dialogue_task])[0].id == read_as

    def test_a_number_is_a_label_where_one_is_called_so(self, read):
        task = Task("digits", (Label("0"), Label("1")))
        assert [sample.label for sample in read([{"text": "a", "label": 1}, {"text": "b", "label": 0}], [task])] == [
            "1",
            "0",
        ]

    def test_unknown_labels_are_left_to_the_checks(self, read, dialogue_task):
        assert read([{"text": "a", "label": "没有"}], [dialogue_task])[0].label == "没有"

    def test_half_characters_are_replaced_and_counted(self, read, dialogue_task, caplog):
        assert read('{"text": "坏\\ud83d字"}', [dialogue_task])[0].turns[0].text == "坏\ufffd字"
        assert "1 texts with half a character, which was replaced, the first in line 1" in caplog.text

    def test_a_very_long_text_is_read(self, read, dialogue_task):
        assert len(read([{"text": "灯" * 100_000}], [dialogue_task])[0].turns[0].text) == 100_000

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ({"text": 3}, "line 1: text is 3; it must be text in quotes"),
            ({"text": "a", "turns": []}, "line 1: it has both text and turns"),
            ({"turns": "a"}, "line 1: turns is 'a'; it must be a list"),
            ({"turns": ["a"]}, "line 1: turn 1 is 'a'; it must be like"),
            ({"turns": [{"role": "user"}]}, "line 1: the text of turn 1 is missing"),
            ({"turns": [{"text": "a"}]}, "line 1: the role of turn 1 is missing; its keys are 'text'"),
            (
                {"text": "a", "label": 3},
                "line 1: label is 3, which is no label's name; labels are '能否调光', '商品材质'",
            ),
            ({"text": "a", "label": True}, "line 1: label is True; it must be a label's name"),
            ({"text": "a", "label": 1.0}, "line 1: label is 1.0; it must be a label's name"),
            ({"text": "a", "label": [["能否调光"]]}, r"line 1: label is \['能否调光'\]; it must be a label's name"),
            ({"text": "a", "id": 1.5}, "line 1: id is 1.5; it must be a text or a whole number"),
            ({"text": "a", "id": 1e300}, r"line 1: id is 1e\+300; it must be a text or a whole number"),
            ({"text": "a", "id": "\ud800"}, r"line 1: id is '\\ud800', which holds half a character"),
            ({"level": 3, "label": "b"}, "line 1: nothing tells which column .* there is 'level', 'label': name them"),
            ({"Messages": []}, "line 1: nothing tells which column or key holds the text, .* there is 'Messages'"),
            (
                {"turns": [{"role": "user", "txt": "a"}]},
                "line 1: the text of turn 1 is missing; its keys are 'role', 'txt'",
            ),
        ],
    )
    def test_a_wrong_value_is_named(self, read, dialogue_task, record, message):
        with pytest.raises(KdslError, match=f"data.json, {message}"):
            read(json.dumps(record), [dialogue_task])


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "data.json: holds no samples"),
            (" \n\n", "data.json: holds no samples"),
            ("[]", "data.json: holds no samples"),
            ('[{"text": "a"}', "data.json, line 1, column 15: not valid JSON"),
            ('{"text": "a"}\n{"text": ', "data.json, line 2: not valid JSON"),
            (
                "hello",
                "data.json, line 1: not valid JSON .*; samples are JSON, one JSON object a line, or a table",
            ),
            ('[{"text": "a"}, "b"]', "data.json, element 2: 'b' is not an object"),
            ("[1]", "data.json, element 1: 1 is not an object"),
            ('{"text": "a"}\n["b"]\n', r"data.json, line 2: \['b'\] is not an object"),
            ("[" + "9" * 5000 + "]", "data.json, line 1: not valid JSON .a number of thousands of digits"),
            ("[" * 100_000, "data.json, line 1: "),
            ('{"text": "a", "task": "elsewhere"}', r"data.json: holds no samples of the project's tasks \(intent\)"),
        ],
    )
    def test_a_broken_file_is_one_sentence(self, read, dialogue_task, text, message):
        with pytest.raises(KdslError, match=message) as error:
            read(text, [dialogue_task])
        assert "\n" not in str(error.value)

    def test_a_missing_file_a_folder_and_another_encoding(self, tmp_path):
        with pytest.raises(KdslError, match=r"none\.json: no such file"):
            read_samples(tmp_path / "none.json", [OTHER])
        with pytest.raises(KdslError, match="is a folder, not a file"):
            read_samples(tmp_path, [OTHER])
        (tmp_path / "gbk.json").write_bytes('{"text": "退款"}'.encode("gbk"))
        assert read_samples(tmp_path / "gbk.json", [OTHER])[0].turns[0].text == "退款"

    def test_a_byte_order_mark_is_no_matter(self, tmp_path):
        for name, text in (("a.json", '[{"text": "退"}]'), ("a.jsonl", '{"text": "退"}\n')):
            (tmp_path / name).write_text(text, encoding="utf-8-sig")
            assert read_samples(tmp_path / name, [OTHER])[0].turns[0].text == "退"

    @pytest.mark.parametrize("wrapper", [{"data": []}, {"version": 1, "samples": []}])
    def test_a_list_in_an_object_is_read(self, read, dialogue_task, wrapper):
        wrapper = {key: [{"text": "甲"}, {"text": "乙"}] if value == [] else value for key, value in wrapper.items()}
        assert [(s.id, s.turns[0].text) for s in read(json.dumps(wrapper), [dialogue_task])] == [
            ("1", "甲"),
            ("2", "乙"),
        ]

    def test_a_list_of_samples_may_stand_under_any_key(self, read, dialogue_task):
        assert read(json.dumps({"shop": [{"text": "甲"}]}), [dialogue_task])[0].turns[0].text == "甲"

    def test_records_without_text_and_image_are_told_with_their_keys(self, read, dialogue_task, caplog):
        read(json.dumps([{"text": "a"}, {"id": "x", "text": None, "note": "退款"}]), [dialogue_task])
        assert (
            "1 samples with no text, image or sound, the first in element 2, whose keys are 'id', 'text', 'note'"
            in (caplog.text)
        )

    def test_behind_the_first_lines_lines_are_read_as_they_are_asked_for(self, write):
        path = write("data.jsonl", HEAD * '{"text": "a"}\n' + "not json\n")
        samples = iterate_samples(path, [OTHER])
        assert next(samples).turns[0].text == "a"
        with pytest.raises(KdslError, match=f"line {HEAD + 1}"):
            list(samples)


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).filter(lambda text: "<image>" not in text)
names = words.filter(str.strip)
image_names = names.filter(lambda name: not set("\\\\/:.") & set(name))

turns = st.builds(Turn, st.sampled_from(["user", "agent"]), words, st.lists(image_names, max_size=2).map(tuple))
keys = ["id", "text", "turns", "role", "images", "label", "task", "messages", "content"]
keys += ["instruction", "input", "output", "image", "conversations", "query", "response", "history", "type", "url"]
keys += ["tool_calls", "data", "Text", "labels", "path", "from", "value"]
keys += ["audio", "audios", "audio_url", "input_audio", "bytes", "array", "sampling_rate", "dialogue"]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [
            "user",
            "assistant",
            "tool",
            "system",
            "text",
            "image",
            "image_url",
            "<image>",
            "../a",
            "a.jpg",
            "audio",
            "input_audio",
            "<audio>",
            "a.wav;b.wav",
            '["a.wav"]',
            "data:audio/wav;base64,UklG",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=6),
)


@st.composite
def samples(draw) -> Sample:
    turns_drawn = draw(st.lists(turns, max_size=4))
    images = [image for turn in turns_drawn for image in turn.images]
    return Sample(
        draw(names),
        "other",
        tuple(turns_drawn),
        tuple(dict.fromkeys(draw(st.permutations(images)))),
        draw(st.none() | names),
    )


def plain_record(sample: Sample) -> dict:
    turns = [{"role": turn.role, "text": turn.text, "images": list(turn.images)} for turn in sample.turns]
    return {"id": sample.id, "turns": turns, "images": list(sample.images), "label": sample.label}


@given(st.lists(samples(), min_size=1, max_size=4), st.booleans())
def test_a_sample_survives_json_lines(tmp_path_factory, written, ascii_only):
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    lines = [json.dumps(plain_record(sample), ensure_ascii=ascii_only) for sample in written]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read_samples(path, [OTHER]) == written


records = st.dictionaries(st.sampled_from(keys), json_values, max_size=6)


@given(json_values | records | st.lists(records, max_size=3))
def test_whatever_json_a_file_holds_it_is_samples_or_one_sentence(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    try:
        samples = read_samples(path, [OTHER])
    except KdslError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
    else:
        for sample in samples:
            turns = [file for turn in sample.turns for file in (*turn.images, *turn.audio)]
            for file in (*sample.images, *sample.audio, *turns):
                assert ".." not in str(file)


PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
CODECS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-32-be"]


@given(st.lists(samples(), min_size=1, max_size=4), st.sampled_from(list(PACK)), st.sampled_from(CODECS))
def test_a_sample_survives_every_encoding_and_compression(tmp_path_factory, written, ending, codec):
    path = tmp_path_factory.getbasetemp() / f"round.jsonl{ending}"
    lines = [json.dumps(plain_record(sample), ensure_ascii=False) for sample in written]
    path.write_bytes(PACK[ending]("\n".join(lines).encode(codec)))
    assert read_samples(path, [OTHER]) == written


class TestIds:
    """An id is the sample's name within its task and file, and nothing else."""

    def test_a_copy_names_its_original_in_every_format(self, read, dialogue_task):
        messages = [{"role": "user", "content": "能调吗"}, {"role": "assistant", "content": "能否调光"}]
        records = [
            {"id": "a", "text": "能调吗", "copy_of": "7"},
            {"id": "b", "messages": messages, "copy_of": 7},
            {"id": "c", "instruction": instruction("用户: 能调吗"), "copy_of": "7"},
            {"id": "7+1", "text": "能调吗", "copy_of": None},
        ]
        assert [sample.copy_of for sample in read(records, [dialogue_task])] == ["7", "7", "7", None]
        with pytest.raises(KdslError, match=r"element 1: copy_of is \[7\]; it must be a text or a whole number"):
            read([{"text": "a", "copy_of": [7]}], [dialogue_task])

    @pytest.mark.parametrize(
        ("ids", "message"),
        [
            (["3", "b", None], "element 3: has no id and would go by its number 3, which is the id in .* element 1;"),
            (
                [None, "b", 1],
                "element 3: the id '1' is the number of .*data.json, element 1, which has no id",
            ),
        ],
    )
    def test_a_number_is_never_taken_for_somebody_s_id(self, read, dialogue_task, ids, message):
        with pytest.raises(KdslError, match=f"{message}.* give every record an id, or none"):
            read([{"id": identity, "text": "能调吗"} for identity in ids], [dialogue_task])

    def test_ids_that_look_alike_are_different_ids(self, read, dialogue_task):
        ids = ["1", "01", "1.0", "１", "+1", "1+1", "a:b", "a#1", "A", "a"]
        assert [sample.id for sample in read([{"id": i, "text": "灯"} for i in ids], [dialogue_task])] == ids

    def test_in_another_task_a_number_may_be_an_id(self, read):
        samples = read([{"id": 2, "task": "intent", "text": "灯"}, {"task": "scene", "image": "a.png"}])
        assert [sample.key for sample in samples] == [("intent", "2"), ("scene", "2")]


def test_without_tasks_any_task_and_any_label_is_read(write):
    records = [
        {"text": "太小", "label": "尺码", "task": "returns"},
        {"messages": [{"role": "user", "content": "退款"}, {"role": "assistant", "content": "钱"}]},
        {"instruction": "判断意图", "output": "物流", "id": "m"},
    ]
    path = write("any.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    found = read_samples(str(path))
    assert [(sample.task, sample.label) for sample in found] == [
        ("returns", "尺码"), ("samples", "钱"), ("samples", "物流"),
    ]  # fmt: skip
    assert [sample.id for sample in found] == ["1", "2", "m"]
