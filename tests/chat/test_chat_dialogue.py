"""Dialogues: which turns want an answer, what stands before them, and what a model is asked."""

from pathlib import Path

import pytest

from kdsl.chat.dialogue import ChatTurn, Dialogue, Part, agent_says, conversation, kind_of
from kdsl.errors import KdslError
from kdsl.vlm.conversation import Audio, Instruction, Picture

FOLDER = Path("/media")


def user(*parts: str) -> ChatTurn:
    """Of texts and of names of files."""
    kinds = {".png": "image", ".wav": "audio"}
    return ChatTurn("user", tuple(Part(kinds.get(Path(part).suffix, "text"), part) for part in parts))


def asked(*turns: ChatTurn) -> list[tuple[int, str]]:
    return [(question.turn, question.reference) for question in Dialogue("d", turns).questions()]


def test_a_turn_that_an_answer_follows_is_asked_and_so_is_the_last():
    assert asked(user("hi"), agent_says("hello"), user("and?")) == [(1, "hello"), (3, "")]


def test_a_dialogue_that_ends_with_an_answer_asks_for_it():
    assert asked(user("hi"), agent_says("hello")) == [(1, "hello")]


def test_of_turns_of_the_user_in_a_row_the_last_is_asked():
    assert asked(user("a.png"), user("what is it?"), agent_says("a cat")) == [(2, "a cat")]


def test_turns_of_the_agent_in_a_row_are_one_answer():
    assert asked(user("hi"), agent_says("hello"), agent_says("how are you?")) == [(1, "hello\nhow are you?")]


def test_what_is_answered_without_words_is_not_asked():
    assert asked(user("show me"), ChatTurn("agent", (Part("image", "a.png"),)), user("thanks")) == [(3, "")]


def test_an_empty_answer_wants_one():
    empty = ChatTurn("agent", ())
    dialogue = Dialogue("d", (user("1"), empty, user("2"), empty))
    assert asked(*dialogue.turns) == [(1, ""), (3, "")]
    assert [turn.text for turn in dialogue.asked([*dialogue.questions()][-1], {1: "A"})] == ["1", "A", "2"]


def test_the_kind_of_a_question_is_what_the_dialogue_holds_up_to_it():
    dialogue = Dialogue("d", (user("hi"), agent_says("a"), user("a.png"), user("b?"), agent_says("b"), user("c.wav")))
    assert [question.kind for question in dialogue.questions()] == ["text", "image", "image_audio"]


def test_what_the_answer_shows_is_no_part_of_the_question():
    shown = ChatTurn("agent", (Part("text", "this"), Part("image", "a.png")))
    assert [question.kind for question in Dialogue("d", (user("which?"), shown, user("and?"))).questions()] == [
        "text",
        "image",
    ]


def test_the_four_kinds():
    turns = [user("hi")], [user("a.png", "hi")], [user("a.wav")], [user("a.wav"), user("a.png")]
    assert [*map(kind_of, turns)] == ["text", "image", "audio", "image_audio"]


def test_earlier_answers_are_replaced_as_a_whole():
    dialogue = Dialogue("d", (user("1"), agent_says("a"), agent_says("b"), user("2"), agent_says("c"), user("3")))
    last = [*dialogue.questions()][-1]
    said = [turn.text for turn in dialogue.asked(last, {1: "A", 4: "C"})]
    assert said == ["1", "A", "2", "C", "3"]


def test_without_answers_of_ones_own_the_right_ones_stay():
    dialogue = Dialogue("d", (user("1"), agent_says("a"), user("2")))
    assert [turn.text for turn in dialogue.asked([*dialogue.questions()][-1], {})] == ["1", "a", "2"]


def test_what_is_answered_without_words_stays_before_later_questions():
    picture = ChatTurn("agent", (Part("image", "a.png"),))
    dialogue = Dialogue("d", (user("1"), agent_says("a"), user("show"), picture, user("2")))
    assert dialogue.asked([*dialogue.questions()][-1], {1: "A"})[2:] == (user("show"), picture, user("2"))


def test_turns_become_messages_and_files_lie_in_the_folder():
    messages = conversation([user("a.png", "hi"), agent_says("hello"), user("b.wav")], FOLDER, "Be short.")
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1].pieces == (Picture(FOLDER / "a.png"), "hi")
    assert messages[3].pieces == (Audio(FOLDER / "b.wav"),)


def test_sounds_may_lie_elsewhere():
    (message,) = conversation([user("a.png", "b.wav")], FOLDER, sounds=Path("/sounds"))
    assert message.pieces == (Picture(FOLDER / "a.png"), Audio(Path("/sounds/b.wav")))


def test_history_goes_as_whole_messages_and_no_text_of_the_question_goes():
    messages = conversation([user("1", "a.png"), agent_says("one"), user("a.png", "2")], FOLDER)
    assert [message.whole for message in messages] == [True, True, False]
    assert [type(piece) for piece in messages[-1].pieces] == [Picture, Instruction]


def test_turns_of_one_role_in_a_row_are_one_message_with_a_line_for_each_text():
    (message,) = conversation([user("a.png"), user("one", "two"), user("b.png", "three")], FOLDER)
    assert message.pieces == (Picture(FOLDER / "a.png"), "one", "\ntwo", Picture(FOLDER / "b.png"), "three")


def test_an_empty_answer_leaves_no_message():
    messages = conversation([user("1"), agent_says(""), user("2")], FOLDER)
    assert [message.pieces for message in messages] == [("1", "\n2")]


def test_a_name_that_leads_out_of_the_folder_is_refused():
    with pytest.raises(KdslError, match=r"'\.\./a\.png' leads outside /media"):
        conversation([user("../a.png")], FOLDER)


def test_a_dialogue_is_as_good_as_its_turns():
    turns = (user("hi"),)
    assert conversation(Dialogue("d", turns), FOLDER) == conversation(turns, FOLDER)
