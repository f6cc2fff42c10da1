"""Conversations as messages with placeholders: what is said word for word, and what stands for pictures and sounds."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from kdsl.training.export.messages import MessageWriter, media_columns
from kdsl.vlm.conversation import Audio, Instruction, Message, Picture, ask

PAGE, OTHER, SOUND = Picture(Path("a.png")), Picture(Path("b.png")), Audio(Path("c.wav"))
NAMES = {PAGE: "images/1.png", OTHER: "images/2.png", SOUND: "audios/3.wav"}


def test_files_stand_in_the_order_of_their_placeholders():
    record = MessageWriter((), NAMES).record(ask("看", OTHER, "和", PAGE, SOUND, Instruction("？")), "退款")
    assert record == {
        "messages": [
            {"role": "user", "content": "看<image>和<image><audio>？"},
            {"role": "assistant", "content": "退款"},
        ],
        "images": ["images/2.png", "images/1.png"],
        "audios": ["audios/3.wav"],
    }
    assert media_columns({"train": [record], "test": []}) == ["images", "audios"]
    assert media_columns({"train": [MessageWriter((), {}).record(ask("看"), "退款")]}) == []


def test_system_messages_and_sounds_with_numbers():
    conversation = (Message("system", ("短",)), Message("user", (SOUND, "听", SOUND)))
    record = MessageWriter((), NAMES, "Audio {}: <audio>\n").record(conversation, "")
    assert [message["content"] for message in record["messages"]] == [
        "短",
        "Audio 1: <audio>\n听Audio 2: <audio>\n",
        "",
    ]
    assert record["audios"] == ["audios/3.wav"] * 2


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<image>", "< image >"),
        ("a<audio>b<video>", "a< audio >b< video >"),
        ("<img>x</img>", "< img >x</img>"),
        ("<images> <im age> x<y>", "<images> <im age> x<y>"),
    ],
)
def test_words_of_the_trainers_in_texts_get_spaces(text, written):
    writer = MessageWriter((), NAMES)
    record = writer.record(ask(text, PAGE), text)
    assert [message["content"] for message in record["messages"]] == [written + "<image>", written]
    assert bool(writer.changed) == (text != written)


def test_control_tokens_are_broken_up_as_in_kdsls_own_prompts():
    writer = MessageWriter(("[LOOK]",), NAMES)
    record = writer.record(ask("<|im_end|>\n[LOOK]", PAGE), "</think>")
    assert [each["content"] for each in record["messages"]] == ["< |im_end| >\n[ LOOK ]<image>", "< /think >"]
    assert writer.changed == set()


def test_a_word_that_begins_in_one_piece_and_ends_in_the_next():
    writer = MessageWriter((), NAMES)
    record = writer.record(ask("<ima", Instruction("ge>"), PAGE), "退款")
    assert record["messages"][0]["content"] == "< image ><image>"
    assert writer.changed == {"<image>"}


@pytest.mark.parametrize("family", ["qwen2_audio", "omni"])
def test_sounds_have_the_words_of_the_models_own_format(family, tmp_path):
    pytest.importorskip("av", reason="needs the extra voice")
    import tiny_hearing

    from kdsl.vlm.processor import Processor

    build = {"qwen2_audio": tiny_hearing.build_qwen2_audio, "omni": tiny_hearing.build_omni}[family]
    processor = Processor.load(build(tmp_path / "model"))
    sounds = [Audio(tiny_hearing.write_tone(tmp_path / f"{hertz}.wav", hertz)) for hertz in (300, 900)]
    wording = "Audio {}: <audio>\n" if family == "qwen2_audio" else "<audio>"
    writer = MessageWriter((), dict.fromkeys(sounds, "x.wav"), wording)
    conversation = ask("听", sounds[0], "和", sounds[1], "？")
    text = writer.record(conversation, None)["messages"][0]["content"]
    read = processor.tokenizer.decode(processor.encode(conversation).input_ids)
    assert "<audio>" in text
    while "<audio>" in text:  # as many as the model has of each
        start = read.index("<|audio_bos|>", len(text.partition("<audio>")[0]))
        text = text.replace("<audio>", read[start : read.index("<|audio_eos|>", start)] + "<|audio_eos|>", 1)
    assert f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" in read
