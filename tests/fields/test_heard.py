"""What is said in sounds counts as text of their turns, and is found there again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.audio.transcript import Transcript, Word
from kdsl.fields.field_text import Segment
from kdsl.fields.heard import hear, written_down
from kdsl.fields.pieces import pieces
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.retrieval.wording import opening
from kdsl.sample import Sample, Turn
from kdsl.small.examples import shown_sample

ORDER = Transcript("order.wav", 2.5, "where is my order", (Word("my", 0.7, 0.9), Word("order", 1.0, 1.6)))
REFUND = Transcript("tui.amr", 4.0, "我要 退款。快一点！", (Word("我要", 0.3, 0.8), Word("退款", 1.1, 1.9)))
SILENT = Transcript("silent.wav", 1.5, "")
KNOWN = {each.file: each for each in (ORDER, REFUND, SILENT)}


SOUNDS = st.lists(st.sampled_from([*KNOWN, "unknown.wav"]), max_size=3)


def row(*turns: Turn, audio: tuple[str, ...] | None = None, left_out: frozenset[str] = frozenset()) -> SampleFields:
    every = tuple(name for turn in turns for name in turn.audio) if audio is None else audio
    return SampleFields(Sample("1", "t", turns, audio=every), Sidecars(transcripts=KNOWN, left_out=left_out))


MIXED = row(
    Turn("user", "ＨＩ there", audio=("order.wav", "tui.amr")),
    Turn("agent", "一百元"),
    Turn("user", "", audio=("tui.amr",)),
)


def test_a_transcript_is_a_line_of_its_own_behind_the_text_of_its_turn():
    assert MIXED.text("dialogue").text == "hi there\nwhere is my order\n我要退款。快一点!\n一百元\n我要退款。快一点!"
    assert MIXED.text("text").text == MIXED.text("dialogue").text
    assert MIXED.text("user").text == "hi there\nwhere is my order\n我要退款。快一点!\n我要退款。快一点!"
    assert MIXED.text("agent").text == "一百元"


def test_a_turn_of_voice_alone_is_the_last_thing_a_user_says():
    assert MIXED.text("last_user").text == "我要退款。快一点!"
    assert MIXED.text("last_agent").text == ""


def test_voice_is_all_that_is_said_in_sounds_and_nothing_else():
    assert MIXED.text("voice").text == "where is my order\n我要退款。快一点!\n我要退款。快一点!"
    assert row(Turn("user", "hello")).text("voice").segments == ()


def test_a_hit_in_a_transcript_leads_back_to_turn_sound_and_characters():
    text = MIXED.text("dialogue")
    start = text.text.rindex("退款")
    assert text.place(start, start + 2) == (Segment(REFUND.text, turn=2, audio="tui.amr"), (3, 5))
    assert text.place(0, 2) == (Segment("ＨＩ there", turn=0), (0, 2))
    voice = MIXED.text("voice")
    assert voice.place(9, 11) == (Segment(ORDER.text, turn=0, audio="order.wav"), (9, 11))


def test_a_sound_in_which_nothing_is_said_adds_nothing():
    silent = row(Turn("user", "你好"), Turn("user", "", audio=("silent.wav",)))
    assert silent.text("last_user").text == "你好"
    assert silent.text("voice").segments == ()
    assert silent.heard is silent.shown


@pytest.mark.parametrize("audio", ["unknown.wav", "silent.wav"])
def test_a_voice_without_words_is_no_last_turn(audio):
    assert row(Turn("user", "<audio>", audio=(audio,))).text("last_user").text == ""


def test_the_last_thing_said_is_the_agents_where_that_is_a_voice():
    said = row(Turn("user", "你好"), Turn("agent", "", audio=("tui.amr",)))
    assert said.text("last_agent").text == "我要退款。快一点!"
    assert row(Turn("agent", "好的"), Turn("user", "", audio=("tui.amr",))).text("last_agent").text == ""


@pytest.mark.parametrize("turns", [(), (Turn("user", ""),)])
def test_a_bare_sound_is_what_the_user_says(turns):
    bare = row(*turns, audio=("order.wav", "tui.amr"))
    for field in ("text", "last_user", "user", "dialogue", "voice"):
        assert bare.text(field).text == "where is my order\n我要退款。快一点!", field
    assert bare.text("voice").segments[0] == Segment(ORDER.text, audio="order.wav")
    assert bare.number("turns") == len(turns)


def test_a_sound_of_no_turn_is_said_in_the_users_first_one():
    loose = row(Turn("agent", "您好"), Turn("user", "在吗"), Turn("user", "喂"), audio=("order.wav",))
    assert loose.text("dialogue").text == "您好\n在吗\nwhere is my order\n喂"
    assert loose.text("last_user").text == "喂"
    assert [turn.text for turn in loose.heard.turns] == ["您好", "在吗\nwhere is my order", "喂"]
    assert loose.text("voice").segments == (Segment(ORDER.text, audio="order.wav"),)


def test_a_sound_beside_turns_of_the_agent_alone_comes_last():
    loose = row(Turn("agent", "您好"), audio=("order.wav",))
    assert [(turn.role, turn.text) for turn in loose.heard.turns] == [("agent", "您好"), ("user", ORDER.text)]
    assert loose.text("agent").text == "您好"


def test_prompts_read_transcripts_in_the_texts_of_their_turns():
    assert [turn.text for turn in MIXED.heard.turns] == [
        "ＨＩ there\nwhere is my order\n我要 退款。快一点！", "一百元", "我要 退款。快一点！",
    ]  # fmt: skip
    assert [turn.audio for turn in MIXED.heard.turns] == [turn.audio for turn in MIXED.shown.turns]
    assert MIXED.sample.turns[2].text == "" and MIXED.heard.audio == MIXED.sample.audio


def test_numbers_of_sounds():
    assert (MIXED.number("audio.count"), MIXED.number("audio.seconds")) == (3.0, 10.5)
    unknown = row(Turn("user", "", audio=("unknown.wav", "silent.wav")))
    assert (unknown.number("audio.count"), unknown.number("audio.seconds")) == (2.0, 1.5)
    assert row(audio=("unknown.wav",)).number("audio.seconds") is None
    assert (row(Turn("user", "x")).number("audio.count"), row().number("audio.seconds")) == (0.0, None)


def test_without_the_agents_answer_its_voice_is_left_out_too():
    turns = (Turn("user", "", audio=("order.wav",)), Turn("agent", "", audio=("tui.amr",)))
    without = row(*turns, left_out=frozenset({"last_agent"}))
    assert without.text("dialogue").text == without.text("voice").text == "where is my order"
    assert (without.number("audio.count"), without.number("audio.seconds")) == (1.0, 2.5)
    assert row(*turns).text("last_agent").text == "我要退款。快一点!"


def test_a_sound_that_comes_twice_stays_once_where_only_the_agents_goes():
    turns = (Turn("user", "", audio=("tui.amr",)), Turn("agent", "", audio=("tui.amr",)))
    assert row(*turns, left_out=frozenset({"last_agent"})).shown.audio == ("tui.amr",)


def test_cleaned_pages_change_nothing_about_what_is_heard():
    assert MIXED.cleaned.text("dialogue").text == MIXED.text("dialogue").text
    assert MIXED.cleaned.text("voice").segments == MIXED.text("voice").segments


def test_meanings_are_compared_with_transcripts_and_their_sentences():
    bare = row(audio=("tui.amr",))
    assert [piece.text for piece in pieces(bare.text("voice"))] == ["我要退款。快一点!", "我要退款。", "快一点!"]


def test_samples_without_sounds_are_read_as_they_are():
    table = FieldTable(
        [Sample("1", "t", (Turn("user", "你好"), Turn("agent", "<audio>")))], Sidecars(transcripts=KNOWN)
    )
    [only] = table.rows
    assert only.heard is only.shown is only.sample
    assert only.text("dialogue").segments == (Segment("你好", turn=0), Segment("<audio>", turn=1))
    assert only.text("last_agent").text == "" and only.text("last_user").text == "你好"


def test_a_small_model_is_shown_what_was_said_last_aloud_or_not():
    assert shown_sample(MIXED, None) == ["我要 退款。快一点！"]
    assert shown_sample(row(audio=("order.wav",)), None) == ["where is my order"]


def test_people_know_a_sample_by_what_was_said_last_aloud_or_not():
    assert opening(MIXED) == "我要 退款。快一点！"


def test_samples_are_compared_by_words_and_by_sounds_of_unknown_words():
    spoken = row(
        Turn("user", "在吗", audio=("order.wav", "unknown.wav")), audio=("order.wav", "unknown.wav", "silent.wav")
    )
    typed, unknown = row(Turn("user", "在吗")).sample, row(audio=("unknown.wav",)).sample
    assert written_down([spoken.sample, typed, unknown], KNOWN) == [
        Sample("1", "t", (Turn("user", "在吗\nwhere is my order", audio=("unknown.wav",)),), audio=("unknown.wav",)),
        typed,
        unknown,
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "agent"]), st.sampled_from(["", "你好", "hi\nthere"]), SOUNDS), max_size=4
    ),
    SOUNDS,
)
def test_all_that_is_said_is_heard_in_its_turn_and_nothing_else_changes(parts, loose):
    turns = tuple(Turn(role, text, audio=tuple(audio)) for role, text, audio in parts)
    of_turns = [audio for turn in turns for audio in turn.audio]
    sample = Sample("1", "t", turns, audio=(*(each for each in loose if each not in of_turns), *of_turns))
    heard = hear(sample, KNOWN)
    said = [KNOWN[audio].text for audio in sample.audio if audio in KNOWN and KNOWN[audio].text]
    if heard is None:
        assert said == []
        return
    assert sorted(segment.text for segment in heard.segments if segment.audio is not None) == sorted(said)
    for index, turn in enumerate(heard.sample.turns):
        own = [each for each, of in zip(heard.segments, heard.turns, strict=True) if of == index]
        assert turn.text == "\n".join(each.text for each in own)
        assert all(each.turn == index or (each.turn is None and turn.role == "user") for each in own)
    before, added = heard.sample.turns[: len(turns)], heard.sample.turns[len(turns) :]
    assert [(turn.role, turn.audio) for turn in before] == [(turn.role, turn.audio) for turn in turns]
    assert [turn.role for turn in added] in ([], ["user"])
    assert [each.text for each in heard.segments if each.audio is None] == [turn.text for turn in turns if turn.text]
