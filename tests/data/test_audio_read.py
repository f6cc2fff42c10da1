"""Sounds of samples, in every form of data that has a place for them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdsl.data.columns import Columns
from kdsl.data.forms import Reading
from kdsl.data.notes import Notes
from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("t", (Label("退款"), Label("尺码")))
Read = Callable[..., Sample]


@pytest.fixture
def read(write: Callable[[str, str], Path]) -> Read:
    """The only sample of a record, read as `reading` says; what is noted is added to `notes`."""

    def read(record: Any, notes: Notes | None = None, reading: Reading | None = None) -> Sample:
        path = write("data.json", json.dumps([record], ensure_ascii=False))
        [sample] = read_samples(path, [TASK], notes or Notes(), reading or Reading())
        return sample

    return read


class TestPlain:
    def test_a_turn_holds_sounds_as_it_holds_images(self, read):
        turns = [{"role": "user", "text": "听", "images": ["a.jpg"], "audio": ["a.wav", "b.ogg"]}]
        sample = read({"turns": turns, "label": "退款"})
        assert sample.turns == (Turn("user", "听", ("a.jpg",), ("a.wav", "b.ogg")),)
        assert (sample.images, sample.audio, sample.label) == (("a.jpg",), ("a.wav", "b.ogg"), "退款")

    @pytest.mark.parametrize("given", [["a.wav"], "a.wav", {"path": "a.wav"}, [{"path": "a.wav", "bytes": None}]])
    @pytest.mark.parametrize("key", ["audio", "audios"])
    def test_one_name_a_list_or_an_object(self, read, key, given):
        assert read({"text": "听", key: given}).audio == ("a.wav",)

    def test_a_record_of_sounds_alone_is_a_sample(self, read):
        notes = Notes()
        sample = read({"id": "1", "audio": ["a.wav"], "label": "退款"}, notes)
        assert sample == Sample("1", "t", (), (), "退款", audio=("a.wav",))
        assert not notes.left_out and not notes.columns

    def test_a_turn_of_sounds_alone_needs_no_text(self, read):
        assert read({"turns": [{"role": "user", "audio": "a.wav"}]}).turns == (Turn("user", "", (), ("a.wav",)),)

    def test_sounds_of_the_record_come_before_those_of_its_turns(self, read):
        sample = read({"turns": [{"role": "user", "text": "x", "audio": ["b.wav"]}], "audio": ["a.wav"]})
        assert sample.audio == ("a.wav", "b.wav")
        assert sample.turns[0].audio == ("b.wav",)

    def test_a_placeholder_takes_the_next_sound_of_the_turn_and_then_of_the_record(self, read):
        turns = [
            {"role": "user", "text": "<audio>你好<audio>", "audio": ["own.wav"]},
            {"role": "agent", "text": "说<audio>吧<audio>"},
        ]
        sample = read({"turns": turns, "audio": ["a.wav", "b.wav"]})
        assert sample.turns == (
            Turn("user", "你好", (), ("own.wav", "a.wav")),
            Turn("agent", "说吧<audio>", (), ("b.wav",)),
        )

    def test_a_placeholder_without_a_sound_stays_and_is_told(self, read):
        notes = Notes()
        assert read({"text": "<audio>"}, notes).turns[0].text == "<audio>"
        assert "samples with an <audio> for which no file is listed" in notes.left_out

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("../a.wav", "a sound of sample '7': '../a.wav' leads outside data.audio; give a name below that folder"),
            ("/etc/a.wav", "leads outside data.audio"),
            ("https://a.example/a.wav", "is an address; sounds must be files: set data.audio to a folder"),
            (
                "data:audio/wav;base64,UklG",
                "is a sound itself, in 26 characters; sounds must be files: set",
            ),
        ],
    )
    def test_a_name_is_that_of_a_file_below_the_folder(self, read, name, problem):
        with pytest.raises(KdslError, match="element 1: ") as raised:
            read({"id": "7", "text": "x", "audio": [name]})
        assert problem in str(raised.value)

    def test_what_is_no_list_of_names_is_an_error(self, read):
        with pytest.raises(KdslError, match=r'audio is 3; it must be a list of file names like \["a.wav"\]'):
            read({"text": "x", "audio": 3})


def test_a_dialogue_in_an_instruction_takes_the_next_sounds_and_images(read):
    said = "用户: <audio>看<image>\n客服: 好\n用户: 听<audio><audio>"
    instruction = f"退款 尺码\n<用户与客服的对话 START>\n{said}\n<用户与客服的对话 END>"
    record = {"instruction": instruction, "output": "退款", "image": ["a.jpg"], "audio": ["a.wav", "b.amr"]}
    notes = Notes()
    sample = read(record, notes)
    assert sample.turns == (
        Turn("user", "看", ("a.jpg",), ("a.wav",)),
        Turn("agent", "好"),
        Turn("user", "听<audio>", (), ("b.amr",)),
    )
    assert (sample.images, sample.audio, notes.unread) == (("a.jpg",), ("a.wav", "b.amr"), {})


NAMING = {
    "plain": lambda name: {"text": "x", "audio": [name]},
    "turn": lambda name: {"turns": [{"role": "user", "text": "x", "audio": name}]},
    "ShareGPT": lambda name: {"messages": [{"role": "user", "content": "<audio>x"}], "audios": [name]},
    "mark": lambda name: {"messages": [{"role": "user", "content": f"x<audio>{name}</audio>"}]},
    "message": lambda name: {"messages": [{"role": "user", "content": "x", "audio": [name]}]},
    "part": lambda name: {"messages": [{"role": "user", "content": [{"type": "audio", "audio": name}]}]},
    "FusionBrain": lambda name: [[{"type": "audio", "content": name}, {"type": "text", "content": "x"}]],
    "MIRE": lambda name: {"instruction": "退款 尺码", "image": [], "audio": [name], "output": "退款"},
    "Alpaca": lambda name: {"instruction": "x", "output": "退款", "audios": [name]},
    "Label Studio": lambda name: {"data": {"text": "x", "audio": name}, "annotations": []},
}


@pytest.mark.parametrize("form", NAMING)
@pytest.mark.parametrize("name", ["../a.wav", "/etc/a.wav", "C:\\a.wav", "..\\a.wav", "shop/../../a.wav"])
def test_no_form_names_a_sound_outside_the_folder(read, form, name):
    with pytest.raises(KdslError, match=r"data.json, element 1: a sound of sample .* leads outside data\.audio"):
        read(NAMING[form](name))
    assert read(NAMING[form]("shop/a.wav")).audio == ("shop/a.wav",)


class TestMessages:
    def test_llama_factory(self, read):
        messages = [
            {"role": "user", "content": "<audio>在吗<image>"},
            {"role": "assistant", "content": "在"},
            {"role": "user", "content": "<audio>退吗"},
            {"role": "assistant", "content": "退款"},
        ]
        notes = Notes()
        sample = read({"messages": messages, "images": ["a.jpg"], "audios": ["a.wav", "b.wav", "c.wav"]}, notes)
        assert sample.turns == (
            Turn("user", "在吗", ("a.jpg",), ("a.wav",)),
            Turn("agent", "在"),
            Turn("user", "退吗", (), ("b.wav",)),
        )
        assert (sample.audio, sample.label) == (("a.wav", "b.wav", "c.wav"), "退款")
        assert not notes.unused and not notes.unread

    def test_ms_swift_names_the_file_between_its_marks(self, read):
        messages = [{"role": "user", "content": "Audio 1:<audio>shop/a.wav</audio>\n说什么<audio>"}]
        sample = read({"messages": messages, "audios": ["b.wav"]})
        assert sample.turns == (Turn("user", "Audio 1:\n说什么", (), ("shop/a.wav", "b.wav")),)
        assert sample.audio == ("shop/a.wav", "b.wav")

    def test_a_message_lists_sounds_of_its_own(self, read):
        messages = [{"role": "user", "content": "<audio>一", "audios": ["a.wav", "b.wav"]}]
        assert read({"messages": messages}).turns == (Turn("user", "一", (), ("a.wav", "b.wav")),)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "audio", "audio": "a.wav"},
            {"type": "audio", "audio_url": "a.wav"},
            {"type": "audio_url", "audio_url": {"url": "a.wav"}},
            {"type": "audio", "path": "a.wav"},
        ],
    )
    def test_parts_of_chat_services(self, read, part):
        content = [{"type": "text", "text": "听"}, part]
        assert read({"messages": [{"role": "user", "content": content}]}).turns == (
            Turn("user", "听", (), ("a.wav",)),
        )

    def test_a_part_that_is_the_sound_itself_is_told_and_left_out_without_a_folder(self, read):
        notes = Notes()
        part = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
        sample = read({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]}, notes)
        assert sample.turns == (Turn("user", "x"),)
        [(key, remedy)] = notes.unread
        assert (key, remedy) == (
            "input_audio",
            "it is an address or a sound itself: set data.audio to a folder that it can be saved in",
        )


class TestFusionBrain:
    def test_parts_become_turns(self, read):
        asked = [{"type": "audio", "content": "a.mp3"}, {"type": "text", "content": "乙"}]
        sample = read([[{"type": "image", "content": "a.png"}, {"type": "audio", "content": "b.mp3"}], asked])
        assert sample.turns == (Turn("user", "", ("a.png",), ("b.mp3",)), Turn("user", "乙", (), ("a.mp3",)))
        assert sample.audio == ("b.mp3", "a.mp3")

    def test_roles_and_a_label_stand_beside_them(self, read):
        turns = [
            {"role": "user", "content": [{"type": "audio", "content": "a.mp3"}]},
            {"role": "bot", "content": [{"type": "text", "content": "好"}]},
        ]
        sample = read({"turns": turns, "label": "退款"})
        assert sample.turns == (Turn("user", "", (), ("a.mp3",)), Turn("agent", "好"))
        assert sample.label == "退款"


class TestTables:
    @pytest.mark.parametrize("column", ["录音", "voice", "file"])
    def test_a_column_of_names_is_found_by_its_values(self, write, column):
        rows = f"标题,{column},类别\n太大,a.wav,尺码\n退钱,b.amr;c.m4a,退款\n"
        notes = Notes()
        samples = read_samples(write("data.csv", rows), [TASK], notes)
        assert [(each.turns[0].text, each.audio, each.label) for each in samples] == [
            ("太大", ("a.wav",), "尺码"), ("退钱", ("b.amr", "c.m4a"), "退款"),
        ]  # fmt: skip
        assert f"{column!r} as the sounds" in notes.columns["a table"]

    @pytest.mark.parametrize("cell", ["a.png;b.png", '"[""a.png"", ""b.png""]"'])
    @pytest.mark.parametrize("key", ["images", "audio"])
    def test_a_cell_may_hold_several_names_whatever_its_column_is_called(self, write, key, cell):
        path = write("data.csv", f"text,{key},label\nx,{cell},退款\ny,c;d.png,尺码\n")
        assert [getattr(sample, key) for sample in read_samples(path, [TASK])] == [("a.png", "b.png"), ("c;d.png",)]

    def test_columns_that_are_said_count(self, write):
        path = write("data.csv", "a,b,label\nx,one,退款\ny,two,尺码\n")
        reading = Reading(Columns(text=("a",), audio=("b",)))
        assert [sample.audio for sample in read_samples(path, [TASK], reading=reading)] == [("one",), ("two",)]

    def test_lines_of_a_dialogue_take_the_sounds_of_their_row(self, write):
        path = write(
            "data.csv", 'dialogue,audio,label\n"用户: <audio>\n客服: 好的\n用户: 再听<audio>",a.wav;b.wav,退款\n'
        )
        [sample] = read_samples(path, [TASK])
        assert sample.turns == (
            Turn("user", "", (), ("a.wav",)), Turn("agent", "好的"), Turn("user", "再听", (), ("b.wav",)),
        )  # fmt: skip


def test_an_instruction_with_sounds(read):
    sample = read({"instruction": "听", "input": "<audio>多少钱", "output": "退款", "audios": ["a.wav"]})
    assert (sample.turns[0].text, sample.audio, sample.label) == ("听\n多少钱", ("a.wav",), "退款")


def test_a_task_of_prodigy_plays_a_sound(read):
    record = {"audio": "a.wav", "options": [{"id": "退款"}, {"id": "尺码"}], "accept": ["尺码"], "answer": "accept"}
    assert read(record) == Sample("1", "t", (), (), "尺码", audio=("a.wav",))


def test_a_task_of_label_studio_plays_a_sound(read):
    notes = Notes()
    result = {"from_name": "t", "to_name": "audio", "type": "choices", "value": {"choices": ["退款"]}}
    record = {"id": 1, "data": {"audio": "a.wav"}, "annotations": [{"result": [result]}]}
    sample = read(record, notes)
    assert sample == Sample("1", "t", (), (), "退款", audio=("a.wav",))
