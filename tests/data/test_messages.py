"""ShareGPT messages as tools write them: nothing is dropped without a word, and no odd part refuses a whole file."""

import json

import pytest

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("t", (Label("退款"), Label("尺码"), Label("0")))


@pytest.fixture
def read(write):
    """Samples of one record a line."""

    def read(*records: dict) -> list[Sample]:
        return read_samples(write("data.jsonl", "\n".join(map(json.dumps, records))), [TASK])

    return read


def asked(content: object, **more: object) -> dict:
    return {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "尺码"}], **more}


def text(words: str) -> dict:
    return {"type": "text", "text": words}


class TestImages:
    @pytest.mark.parametrize(
        "image",
        [
            {"type": "image", "image": "a.png"},
            {"type": "image", "path": "a.png"},
            {"type": "image", "url": "a.png"},
            {"type": "image", "image": {"path": "a.png", "bytes": None}},
            {"type": "image_url", "image_url": {"url": "a.png", "detail": "high"}},
            {"type": "image_url", "image_url": "a.png"},
            {"type": "input_image", "image_url": "a.png"},
            {"image": "a.png"},
        ],
    )
    def test_a_part_that_names_its_image(self, read, image):
        [sample] = read(asked([image, text("多大"), {"text": "码"}, "？"]))
        assert sample == Sample("1", "t", (Turn("user", "多大码？", ("a.png",)),), ("a.png",), "尺码")

    @pytest.mark.parametrize(
        "image",
        [
            {"type": "image_url", "image_url": {"url": "https://img.example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            {"type": "image_url", "image_url": "file:///data/a.png"},
            {"image_url": {"url": "https://img.example.com/a.png"}},
        ],
    )
    def test_a_part_with_an_address_or_a_picture_is_told_and_left_out(self, read, image, caplog):
        [first, second] = read(asked([text("多大"), image]), asked([image, {"type": "image", "image": "b.png"}]))
        assert first.turns == (Turn("user", "多大"),)
        assert second.images == ("b.png",)
        told = (
            "the key 'image_url' of 2 samples is not read, the first in line 1; it is an address or a picture itself"
        )
        assert told in caplog.text

    @pytest.mark.parametrize("part", [{"type": "image"}, {"type": "image", "text": None, "index": 0}, text("<image>")])
    def test_a_part_that_does_not_takes_the_next_of_the_list(self, read, part):
        [sample] = read(asked([{"type": "image", "image": "own.png"}, part, text("看")], images=["a.png", "b.png"]))
        assert sample.turns == (Turn("user", "看", ("own.png", "a.png")),)
        assert sample.images == ("own.png", "a.png", "b.png")

    def test_an_image_that_a_part_names_and_the_list_too_is_one(self, read):
        assert read(asked([{"type": "image", "image": "a.png"}], images=["a.png"]))[0].images == ("a.png",)

    def test_the_marks_of_ms_swift(self, read):
        [sample] = read(asked("<img>a.png</img>这个<image>多大", images=["b.png"]))
        assert sample.turns == (Turn("user", "这个多大", ("a.png", "b.png")),)

    def test_images_beside_the_text_of_a_message(self, read):
        messages = [{"role": "user", "content": "看<image>", "images": ["a.png", {"path": "b.png"}]}]
        assert read({"messages": messages})[0].turns == (Turn("user", "看", ("a.png", "b.png")),)

    @pytest.mark.parametrize(
        ("images", "named"),
        [
            ("a.png", ("a.png",)),
            (["a.png", "b.png"], ("a.png", "b.png")),
            ([{"path": "a.png", "bytes": None}], ("a.png",)),
            ({"url": "a.png"}, ("a.png",)),
            (None, ()),
            ([], ()),
        ],
    )
    def test_the_list_in_all_its_shapes(self, read, images, named):
        assert read(asked("<image>码" if named else "码", images=images))[0].images == named

    def test_what_names_no_image_keeps_its_place_and_is_counted(self, read, caplog):
        [sample] = read(asked("<image>左<image>右", images=[None, "b.png"]))
        assert sample.turns == (Turn("user", "<image>左右", ("b.png",)),)
        assert "1 images without a name left out, the first in line 1" in caplog.text
        assert "1 samples with an <image> for which no file is listed, the first in line 1" in caplog.text

    def test_more_images_than_marks_are_those_of_the_sample(self, read, caplog):
        assert read(asked("码", images=["a.png", "b.png"]))[0].images == ("a.png", "b.png")
        assert caplog.text == ""


class TestWhatIsLeftOut:
    def test_tools_and_systems_are_counted_and_the_dialogue_stays(self, read, caplog):
        call = {"id": "c", "type": "function", "function": {"name": "q", "arguments": "{}"}}
        messages = [
            {"role": "system", "content": "你是客服"},
            {"role": "user", "content": "到哪了"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "已退"},
            {"role": "assistant", "content": "已经退了", "tool_calls": None},
        ]
        older = [
            {"from": "human", "value": "到哪了"},
            {"from": "function_call", "value": "{}"},
            {"from": "observation", "value": "ok"},
            {"from": "gpt", "value": "已经退了"},
        ]
        samples = read(
            {"messages": messages, "label": "退款"}, {"conversations": older, "label": "退款", "tools": "[]"}
        )
        turns = (Turn("user", "到哪了"), Turn("agent", "已经退了"))
        assert [(sample.turns, sample.label) for sample in samples] == [(turns, "退款")] * 2
        assert "data.jsonl: 1 system messages left out, the first in line 1" in caplog.text
        assert "data.jsonl: 4 calls of tools and their answers left out, the first in line 1" in caplog.text

    def test_messages_without_text(self, read, caplog):
        messages = [{"role": "user", "content": "退"}, {"role": "assistant", "content": None}, None]
        assert read({"messages": messages, "label": "退款"})[0].turns == (Turn("user", "退"),)
        assert "2 messages without text left out, the first in line 1" in caplog.text

    def test_parts_of_other_kinds(self, read, caplog):
        parts = [{"type": "video", "video": "a.mp4"}, text("退"), {"type": "video", "video": "b.mp4"}]
        assert read(asked("码"), asked(parts))[1].turns == (Turn("user", "退"),)
        assert "2 parts of messages of the type 'video' left out, the first in line 2" in caplog.text

    @pytest.mark.parametrize("value", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": ""}]])
    def test_a_record_with_nothing_in_it(self, read, caplog, value):
        read(asked("码"), {"messages": value})
        assert "1 samples with no text, image or sound, the first in line 2, whose keys are 'messages'" in caplog.text

    def test_other_media(self, read, caplog):
        read(asked("<video>码", videos=["a.mp4"]))
        assert "1 values of 'videos' left out, the first in line 1" in caplog.text


class TestLabels:
    def test_an_empty_answer_is_no_label_and_no_turn(self, read):
        messages = [{"role": "user", "content": "码"}, {"role": "assistant", "content": "嗯"},
                    {"role": "user", "content": "多大"}, {"role": "assistant", "content": ""}]  # fmt: skip
        [sample] = read({"messages": messages})
        assert ([turn.text for turn in sample.turns], sample.label) == (["码", "嗯", "多大"], None)

    @pytest.mark.parametrize("label", ["尺码", None, ""])
    def test_the_label_is_not_left_in_the_dialogue_as_an_answer(self, read, label):
        [sample] = read(asked("码", label=label))
        assert (sample.turns, sample.label) == ((Turn("user", "码"),), "尺码")

    def test_a_number_that_is_a_label_s_name(self, read):
        assert read({**asked("码"), "messages": [{"role": "user", "content": "码"}], "label": 0})[0].label == "0"

    def test_two_messages_of_the_user_in_a_row(self, read):
        messages = [{"role": "User", "content": "你好"}, {"role": "USER", "content": "退"},
                    {"role": "assistant", "content": "退款"}]  # fmt: skip
        assert read({"messages": messages}) == [
            Sample("1", "t", (Turn("user", "你好"), Turn("user", "退")), (), "退款")
        ]


class TestQueries:
    """ms-swift's older form."""

    def test_a_query_and_its_response(self, read):
        assert read({"query": "<image>多大码", "response": "尺码", "images": ["a.png"]}) == [
            Sample("1", "t", (Turn("user", "多大码", ("a.png",)),), ("a.png",), "尺码")
        ]

    def test_with_a_history_the_response_is_a_turn_unless_it_is_a_label(self, read):
        history = [["你好", "在的"]]
        labelled, said = read(
            {"query": "退", "response": "退款", "history": history},
            {"query": "退", "response": "好", "history": history},
        )
        before = (Turn("user", "你好"), Turn("agent", "在的"), Turn("user", "退"))
        assert (labelled.turns, labelled.label) == (before, "退款")
        assert (said.turns, said.label) == ((*before, Turn("agent", "好")), None)

    def test_a_wrong_history_is_told(self, read):
        with pytest.raises(KdslError, match="line 1: history is 'x'; it must be a list of pairs"):
            read({"query": "退", "response": "退款", "history": "x"})


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "user", "text": "x"}, "the content of message 1 is missing; .*; its keys are 'role', 'text'"),
        ({"role": "boss", "content": "x"}, "the role 'boss' is unknown; roles are user"),
        ({"speaker": "user", "content": "x"}, "the role of message 1 is missing; its keys are 'speaker', 'content'"),
        ({"role": ["user"], "content": "x"}, r"the role \['user'\] is unknown"),
        ({"role": "user", "content": [3]}, "part 1 of message 1 is 3; it must be like"),
        ({"role": "user", "content": [{"type": "text", "text": 3}]}, "the text of part 1 of message 1 is 3; it mus"),
        ({"role": "user", "content": [{"words": "x"}]}, "part 1 of message 1 has no text, image or sound; its keys"),
        ({"role": "user", "content": [{"type": "image", "image": 3}]}, "part 1 of message 1 is 3; it must be a file"),
    ],
)  # fmt: skip
def test_what_may_be_a_turn_but_cannot_be_read_is_an_error(read, message, problem):
    with pytest.raises(KdslError, match=f"data.jsonl, line 1: {problem}"):
        read({"messages": [message]})
