"""Files of dialogues in three forms, and one sentence for what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.chat.dialogue import Dialogue
from kdsl.chat.reading import LONGEST_TEXT, read_dialogues
from kdsl.errors import KdslError


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


def image(name: str) -> dict[str, str]:
    return {"type": "image", "content": name}


def audio(name: str) -> dict[str, str]:
    return {"type": "audio", "content": name}


@pytest.fixture
def read(tmp_path):
    """The dialogues of a value as JSON, of text, or of bytes."""

    def read(value: object, name: str = "dialogues.json") -> list[Dialogue]:
        path = tmp_path / name
        content = value if isinstance(value, str | bytes) else json.dumps(value, ensure_ascii=False)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return read_dialogues(path)

    return read


def shown(dialogue: Dialogue) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(turn.role, [(part.kind, part.content) for part in turn.parts]) for turn in dialogue.turns]


FUSIONBRAIN = [[[image("a.jpg"), text("What is it?")], [text("A cat.")], [audio("b.wav")], [text("And this?")]]]


def test_lists_of_parts_take_turns_and_the_question_comes_behind_a_turn_without_text(read):
    (dialogue,) = read(FUSIONBRAIN)
    assert dialogue.id == "1"
    assert shown(dialogue) == [
        ("user", [("image", "a.jpg"), ("text", "What is it?")]),
        ("agent", [("text", "A cat.")]),
        ("user", [("audio", "b.wav")]),
        ("user", [("text", "And this?")]),
    ]


def test_empty_turns_are_the_answers_that_are_wanted(read):
    (dialogue,) = read([[[], [text("one?")], [], [text("two?")], []]])
    assert [(turn.role, turn.text) for turn in dialogue.turns] == [
        ("user", "one?"),
        ("agent", ""),
        ("user", "two?"),
        ("agent", ""),
    ]


def test_under_a_key_and_a_line_each(read):
    assert read({"dialogues": FUSIONBRAIN}) == read(FUSIONBRAIN)
    assert read(json.dumps(FUSIONBRAIN[0]) + "\n" + json.dumps(FUSIONBRAIN[0]), "d.jsonl")[0] == read(FUSIONBRAIN)[0]
    assert [each.id for each in read('{"id": "x", "turns": ["hi"]}\n\n{"turns": ["ho"]}\n', "d.jsonl")] == ["x", "3"]


def test_messages_with_parts_of_chat_services_and_without_system_messages(read):
    said = [{"type": "text", "text": "你好"}, {"type": "image", "image": "a.jpg"}]
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": said}]
    (dialogue,) = read([{"id": 7, "messages": [*messages, {"role": "assistant", "content": "好"}]}])
    assert dialogue.id == "7"
    assert shown(dialogue) == [("user", [("text", "你好"), ("image", "a.jpg")]), ("agent", [("text", "好")])]


def test_turns_of_kdsl_with_files_before_the_text_or_where_their_place_is(read):
    turns = [
        {"role": "user", "text": "我要退货", "images": ["a.jpg"], "audio": ["b.wav"]},
        {"role": "agent", "text": "好的"},
        {"from": "human", "value": "before <image> after <audio>", "images": ["c.jpg"], "audios": "d.wav"},
    ]
    (dialogue,) = read([{"turns": turns}])
    assert shown(dialogue) == [
        ("user", [("image", "a.jpg"), ("audio", "b.wav"), ("text", "我要退货")]),
        ("agent", [("text", "好的")]),
        ("user", [("text", "before"), ("image", "c.jpg"), ("text", "after"), ("audio", "d.wav")]),
    ]


def test_a_placeholder_without_a_file_is_text(read):
    (dialogue,) = read([[{"role": "user", "text": "what does <image> mean?"}]])
    assert dialogue.turns[0].text.split() == ["what", "does", "<image>", "mean?"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_encodings(read, encoding):
    (dialogue,) = read('[["你好，我要退货，请问怎么办理？"]]'.encode(encoding))
    assert dialogue.turns[0].text == "你好，我要退货，请问怎么办理？"


def test_half_a_character_is_no_trouble_later(read):
    (dialogue,) = read('[["\\ud83d hi"]]')
    assert dialogue.turns[0].text == "? hi"


WRONG = {
    "no JSON": ("[[[{", r"line 1, column 5: not valid JSON"),
    "nothing": ("", r"holds no dialogues; give a list"),
    "no dialogue": ([], r"holds no dialogues"),
    "bytes": (bytes(range(256)), r"is no text"),
    "a list of parts": (
        [[text("hi")]],
        r"dialogue 1: is a list of parts, a single turn; a dialogue is a list of turns",
    ),
    "a part instead of a turn": ([["hi", text("ho")]], r"dialogue 1, turn 2: is a part, not a turn"),
    "a number as a dialogue": ([5], r"dialogue 1: is 5, not a dialogue"),
    "an object without turns": ([{"text": "hi"}], r"dialogue 1: has no turns, its keys are 'text'"),
    "an empty dialogue": ([["hi"], []], r"dialogue 2: nobody asks anything in it"),
    "a dialogue of the agent": ([[{"role": "agent", "text": "hi"}]], r"dialogue 1: nobody asks anything in it"),
    "no turn": ([["hi", None]], r"dialogue 1, turn 2: is missing, not a turn"),
    "a role": ([[{"role": "wizard", "text": "hi"}]], r"dialogue 1, turn 1: the role is 'wizard'; it must be user or"),
    "no role": ([[{"text": "hi"}]], r"dialogue 1, turn 1: the role is missing, its keys are 'text'"),
    "a type": (
        [[[{"type": "video", "content": "a.mp4"}]]],
        r"turn 1: the type of a part is 'video'; it must be text, im",
    ),
    "no type": ([[[{"content": "hi"}]]], r"turn 1: the type of a part is missing, its keys are 'content'"),
    "no content": (
        [[[text("hi"), {"type": "image"}]]],
        r"turn 1, part 2: the content .* image is missing; it must be th",
    ),
    "a number as text": ([[[{"type": "text", "content": 5}]]], r"turn 1: the content .* text is 5; it must be a text"),
    "a file outside": ([[[image("../a.jpg")]]], r"turn 1: '\.\./a\.jpg' leads outside the folder of pictures"),
    "a sound outside": ([[[audio("/etc/passwd")]]], r"turn 1: '/etc/passwd' leads outside the folder of sounds"),
    "names that are none": (
        [[{"role": "user", "text": "", "images": [5]}]],
        r"turn 1: images is \[5\]; it must be a l",
    ),
    "a huge text": ([["hi", "ho", "x" * 10_000_000]], r"dialogue 1, turn 3: a text of 10,000,000 characters; at most"),
    "an id": ([{"id": [1], "turns": ["hi"]}], r"dialogue 1: the id is \[1\]; it must be a text or a whole number"),
    "an id twice": (
        [{"id": 1, "turns": ["hi"]}, {"id": "1", "turns": ["hi"]}],
        r"dialogue 2: the id '1' is that of an",
    ),
    "dialogues that are none": ({"dialogues": 5}, r"dialogues is 5; it must be a list"),
    "too deep": ("[" * 5000 + "]" * 5000, r"within each other too deeply"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence_with_file_dialogue_and_turn(read, case):
    value, sentence = WRONG[case]
    with pytest.raises(KdslError, match=sentence) as error:
        read(value)
    assert "dialogues.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_longest_text_is_read(read):
    assert len(read([["x" * LONGEST_TEXT]])[0].turns[0].text) == LONGEST_TEXT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "content", "role", "text", "images", "turns", "id", "audio", "parts"]),
            inner | st.sampled_from(["text", "image", "audio", "user", "agent"]),
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(JSON)
def test_whatever_stands_in_a_file_is_read_or_told(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("any") / "dialogues.json"
    path.write_text(json.dumps(value), "utf-8")
    try:
        dialogues = read_dialogues(path)
    except KdslError as error:
        assert str(error).startswith(str(path))
    else:
        assert dialogues and all(dialogue.turns for dialogue in dialogues)


@given(st.lists(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4), min_size=1, max_size=3))
def test_texts_come_back_as_they_were(tmp_path_factory, dialogues):
    path = tmp_path_factory.mktemp("texts") / "dialogues.json"
    path.write_text(json.dumps(dialogues), "utf-8")
    read = [[turn.text for turn in dialogue.turns] for dialogue in read_dialogues(path)]
    assert read == [[said.strip() for said in dialogue] for dialogue in dialogues]
