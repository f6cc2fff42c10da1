"""Whatever form a history has, its turns are the same; what is none is left out, and nothing raises."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.chat.dialogue import ChatTurn, Part
from kdsl.chat.fusionbrain.history import messages_of, turns_of, user_turn

PICTURE = [{"type": "image", "content": "a.jpg"}]
QUESTION = [{"type": "text", "content": "What is it?"}, {"type": "audio", "content": "b.wav"}]
TURNS = (
    ChatTurn("user", (Part("image", "a.jpg"),)),
    ChatTurn("agent", (Part("text", "Nice."),)),
    ChatTurn("user", (Part("text", "What is it?"), Part("audio", "b.wav"))),
    ChatTurn("agent", (Part("text", "A cat."),)),
)
FIRST = messages_of(TURNS[:1])
THREE = messages_of(TURNS[:3])
FORMS = {
    "a list of pairs": [(PICTURE, "Nice."), (QUESTION, "A cat.")],
    "the same from JSON": [[PICTURE, "Nice."], [QUESTION, "A cat."]],
    "a tuple of pairs": ((PICTURE, "Nice."), (QUESTION, "A cat.")),
    "one pair": (THREE, "A cat."),
    "one pair from JSON": [THREE, "A cat."],
    "messages": messages_of(TURNS),
    "a pair of a pair": (([(FIRST, "Nice."), *messages_of(TURNS[2:3])]), "A cat."),
    "a list of one pair": [(THREE, "A cat.")],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_history_is_the_same_dialogue(form):
    assert turns_of(FORMS[form]) == TURNS


@pytest.mark.parametrize("nothing", [None, [], (), ""])
def test_a_dialogue_may_begin(nothing):
    assert turns_of(nothing) == ()


def test_a_query_and_its_answer_may_stand_without_a_list_around_them():
    assert turns_of((QUESTION, "A cat.")) == TURNS[2:]
    assert turns_of(("Who are you?", "A model.")) == (
        ChatTurn("user", (Part("text", "Who are you?"),)),
        ChatTurn("agent", (Part("text", "A model."),)),
    )


def test_a_round_without_an_answer_keeps_its_query():
    assert turns_of((FIRST, None)) == (*turns_of(FIRST), ChatTurn("agent", ()))
    assert turns_of([(PICTURE, "")]) == (TURNS[0], ChatTurn("agent", ()))


def test_a_query_is_its_parts_in_their_order():
    assert user_turn([*PICTURE, *QUESTION]).parts == (*TURNS[0].parts, *TURNS[2].parts)


@pytest.mark.parametrize(
    "part", [5, {}, {"type": "text"}, {"type": "video", "content": "a.mp4"}, {"type": ["text"], "content": "a"}, b"a"]
)
def test_what_is_no_part_is_told_and_left_out(part, caplog):
    assert user_turn([part, *PICTURE]) == TURNS[0]
    assert "a part of a query is left out" in caplog.text


def test_what_is_no_history_is_told_and_left_out(caplog):
    assert turns_of([7, *FIRST]) == TURNS[:1]
    assert "a part of a history is left out, which is neither messages nor pairs: 7" in caplog.text


parts = st.builds(
    Part, st.sampled_from(["text", "image", "audio"]), st.text(min_size=1).filter(lambda text: text.strip())
)
turns = st.builds(ChatTurn, st.sampled_from(["user", "agent"]), st.lists(parts).map(tuple))


@given(st.lists(turns))
def test_messages_come_back_as_they_were_given_by_pickle_and_by_json(dialogue):
    messages = messages_of(dialogue)
    for back in (pickle.loads(pickle.dumps(messages)), json.loads(json.dumps(messages))):
        assert turns_of(back) == tuple(dialogue)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["type", "content", "role", "a"]), inner)
    ),
)


@given(anything)
def test_nothing_raises_and_what_comes_back_can_be_written(given):
    for messages in (messages_of(turns_of(given)), messages_of([user_turn(given)])):
        json.dumps(messages, ensure_ascii=False).encode()
        assert turns_of(messages) == turns_of(pickle.loads(pickle.dumps(messages)))
