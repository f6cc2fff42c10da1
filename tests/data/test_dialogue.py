"""Dialogues as text and back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.data.dialogue import (
    CHINESE,
    ENGLISH,
    Waiting,
    dialogue_in_prompt,
    dialogue_text,
    fill_prompt,
    parse_dialogue,
    speakers_in,
    speakers_of,
)
from kdsl.sample import Label, Sample, Task, Turn

text = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=15)
    .map(str.strip)
    .filter(lambda text: not any(mark in text for mark in ("<image>", "<audio>", "用户", "客服", "User", "Agent")))
)
files = st.lists(st.sampled_from("abc"), max_size=2).map(tuple)
turns = st.lists(
    st.builds(Turn, st.sampled_from(["user", "agent"]), text, files, files),
    max_size=5,
).map(tuple)


@given(turns, st.sampled_from([CHINESE, ENGLISH]))
def test_turns_survive_being_written_as_text(turns, speakers):
    images = [image for turn in turns for image in turn.images]
    waiting = Waiting(images, [sound for turn in turns for sound in turn.audio])
    assert parse_dialogue(dialogue_text(turns, speakers, audio=True), waiting, speakers) == turns


@given(turns)
def test_sounds_are_marked_only_where_that_is_asked(turns):
    silent = tuple(replace(turn, audio=()) for turn in turns)
    sample = Sample("1", "t", turns, audio=tuple(file for turn in turns for file in turn.audio))
    assert dialogue_text(turns) == dialogue_text(silent)
    assert fill_prompt(LAMPS, sample) == fill_prompt(LAMPS, replace(sample, turns=silent, audio=()))


REFUNDS = Task("t", (Label("refund", "asks for money back"), Label("exchange")))
LAMPS = Task("t", (Label("refund"), Label("exchange", "换一件")))


def test_an_english_task_has_english_speakers():
    spoken = Turn("user", "灯"), Turn("agent", "在")
    assert fill_prompt(REFUNDS, Sample("1", "t", spoken)) == "User: 灯\nAgent: 在"
    assert fill_prompt(LAMPS, Sample("1", "t", spoken)) == "用户: 灯\n客服: 在"
    asked = replace(REFUNDS, prompt="哪一类？{dialogue}")
    assert fill_prompt(asked, Sample("1", "t", spoken)) == "哪一类？用户: 灯\n客服: 在"
    assert speakers_of(REFUNDS) == ENGLISH


@pytest.mark.parametrize(
    ("text", "in_english", "in_chinese"),
    [
        ("\nUser: hello", ENGLISH, None),
        ("Agent：hello\n用户: hi", ENGLISH, None),
        ("用户: hi\nUser: hello", CHINESE, CHINESE),
        ("hello\nUser: hi", None, None),
        ("Users: all", None, None),
    ],
)
def test_english_tasks_read_both_languages_and_chinese_ones_their_own(text, in_english, in_chinese):
    assert speakers_in(text, REFUNDS) == in_english
    assert speakers_in(text, LAMPS) == in_chinese


def test_a_role_counts_at_the_start_of_a_line_only():
    assert parse_dialogue("用户: 我是 客服: 吗\n客服：不是", Waiting()) == (
        Turn("user", "我是 客服: 吗"),
        Turn("agent", "不是"),
    )


def test_a_text_without_a_role_is_refused():
    with pytest.raises(ValueError, match="'你好' does not begin with 用户: or 客服:"):
        parse_dialogue("你好", Waiting())
    with pytest.raises(ValueError, match="'hello' does not begin with User: or Agent:"):
        parse_dialogue("hello", Waiting(), ENGLISH)


@given(turns)
def test_a_filled_prompt_gives_its_dialogue_back_and_shows_every_image_once(turns):
    task = Task("t", (Label("甲[1]"), Label("乙")), "图<image>问：\n{dialogue}\n选：{labels}\n")
    images = tuple(image for turn in turns for image in turn.images)
    prompt = fill_prompt(task, Sample("1", "t", turns, images))
    assert prompt.count("<image>") == len(images)
    assert '选：["甲[1]","乙"]\n' in prompt
    assert dialogue_in_prompt(task, prompt).replace("<image>", "") == dialogue_text(turns).replace("<image>", "")


@given(turns, st.lists(st.just("rest.wav"), max_size=2).map(tuple), st.sampled_from(["", "<audio>"]))
def test_a_filled_prompt_plays_every_sound_once_where_that_is_asked(turns, more, mark):
    task = Task("t", (Label("甲"), Label("乙")), f"听{mark}问：{{dialogue}}")
    audio = tuple(sound for turn in turns for sound in turn.audio) + more
    sample = Sample("1", "t", turns, tuple(image for turn in turns for image in turn.images), audio=audio)
    heard = fill_prompt(task, sample, audio=True)
    assert heard.count("<audio>") == len(audio) and heard.count("<image>") == len(sample.images)
    assert dialogue_in_prompt(task, heard) is not None
    assert "<audio>" not in fill_prompt(task, sample)


def test_what_a_text_says_of_a_sound_that_is_not_there_stays():
    assert fill_prompt(REFUNDS, Sample("1", "t", (Turn("user", "the <audio> tag"),))) == "the <audio> tag"


def test_another_text_is_not_the_prompt():
    task = Task("t", (Label("a"), Label("b")), "问：{dialogue}")
    assert dialogue_in_prompt(task, "答：好") is None
    assert dialogue_in_prompt(Task("t", task.labels), "答：好") is None
