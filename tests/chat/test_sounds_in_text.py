"""What is said in sounds, as text for a model that does not hear."""

from kdsl.audio.transcript import Transcript
from kdsl.chat.dialogue import ChatTurn, Part, agent_says
from kdsl.chat.hearing import in_text, unheard


def sound(name: str, *texts: str) -> ChatTurn:
    return ChatTurn("user", (Part("audio", name), *(Part("text", text) for text in texts)))


HEARD = {
    "said.wav": Transcript("said.wav", 2.0, "where is my order"),
    "dog.wav": Transcript("dog.wav", 2.0, "", caption="a dog that barks"),
    "call.wav": Transcript("call.wav", 2.0, "hello?", caption="a street"),
    "still.wav": Transcript("still.wav", 2.0, ""),
}


def told(name: str, *texts: str) -> str:
    return in_text([sound(name, *texts)], HEARD)[0].parts[0].content


def test_words_captions_silence_and_what_nobody_wrote_down():
    assert told("said.wav") == "[sound: “where is my order”]"
    assert told("dog.wav") == "[sound of a dog that barks]"
    assert told("call.wav") == "[sound of a street: “hello?”]"
    assert told("still.wav") == "[a sound without words]"
    assert told("other.wav") == "[a sound that cannot be heard]"


def test_a_chinese_dialogue_is_told_in_chinese():
    assert told("said.wav", "他说什么？") == "【声音：“where is my order”】"
    assert told("other.wav", "他说什么？") == "【听不到的声音】"


def test_everything_else_stays_where_it_is():
    picture = ChatTurn("user", (Part("image", "a.png"), Part("text", "what?")))
    turns = in_text([picture, agent_says("a cat"), sound("said.wav", "and this?")], HEARD)
    assert turns[:2] == (picture, agent_says("a cat"))
    assert turns[2].text == "[sound: “where is my order”]\nand this?"


def test_unheard_sounds_are_told_once():
    assert unheard([sound("other.wav"), sound("said.wav"), sound("other.wav")], HEARD) == ["other.wav"]
