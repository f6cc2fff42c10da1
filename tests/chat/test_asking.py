"""A game of questions: what is drawn, what is shown, and which answers count."""

import math
import sys
import wave
from pathlib import Path

import pytest
from PIL import Image

from kdsl.audio.transcript import Transcript
from kdsl.chat.asking import Game, GameQuestion, draw_questions, played
from kdsl.chat.dialogue import ChatTurn, Dialogue, Part, agent_says
from kdsl.errors import KdslError


def user(*parts: str) -> ChatTurn:
    kinds = {".png": "image", ".wav": "audio"}
    return ChatTurn("user", tuple(Part(kinds.get(Path(part).suffix, "text"), part) for part in parts))


DIALOGUES = [Dialogue(str(n), (user(f"q{n}"), agent_says(f"a{n}"), user(f"r{n}"))) for n in range(10)]
QUESTION = GameQuestion("d", 1, (user("what?"),), "a cat")


def test_a_game_takes_all_questions_or_draws_some_in_their_order():
    every = draw_questions(DIALOGUES, 100, seed=0)
    assert [(each.dialogue, each.turn) for each in every] == [(str(n), turn) for n in range(10) for turn in (1, 3)]
    ten = draw_questions(DIALOGUES, 10, seed=0)
    assert len(ten) == 10
    assert [each for each in every if each in ten] == ten == draw_questions(DIALOGUES, 10, seed=0)
    assert ten != draw_questions(DIALOGUES, 10, seed=1)


def test_a_question_stands_behind_the_right_answers_to_earlier_ones():
    question = draw_questions(DIALOGUES[:1], 2, seed=0)[1]
    assert [turn.text for turn in question.turns] == ["q0", "a0", "r0"]
    assert question.reference == ""


def test_dialogues_without_a_question_make_no_game():
    with pytest.raises(KdslError, match="ask nothing that is answered in words"):
        draw_questions([Dialogue("d", (user("hi"), ChatTurn("agent", (Part("image", "a.png"),))))], 10, seed=0)


def clock(*times: float):
    return iter(times).__next__


def test_an_answer_counts_until_the_time_is_over():
    assert played(QUESTION, lambda question: "a cat", 5, clock(10, 15)).in_time
    late = played(QUESTION, lambda question: "a cat", 5, clock(10, 15.1))
    assert (late.answer, late.in_time) == ("a cat", False)
    assert late.seconds == pytest.approx(5.1)


def test_no_answer_is_never_in_time():
    given = played(QUESTION, lambda question: None, 5, clock(10, 11))
    assert (given.answer, given.in_time, given.problem) == (None, False, "")


def test_a_question_that_cannot_be_answered_does_not_end_the_game():
    def answer(question: GameQuestion) -> str:
        raise KdslError("a.png: no such image file")

    given = played(QUESTION, answer, 5, clock(10, 11))
    assert (given.answer, given.in_time, given.problem) == (None, False, "a.png: no such image file")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"".join(round(9000 * math.sin(n)).to_bytes(2, "little", signed=True) for n in range(20000)))
    return tmp_path


def shown(folder: Path, *parts: str, heard: str | None = None) -> list[str]:
    known = {} if heard is None else {"a.wav": Transcript("a.wav", 2.5, heard)}
    return Game([], folder, folder, known).looked_at(GameQuestion("d", 1, (user(*parts),), ""))


def test_pictures_are_shown_with_their_size_or_with_what_is_wrong(folder):
    assert shown(folder, "what?", "a.png", "gone.png") == [
        "picture a.png: 40 x 30 pixels",
        "picture gone.png: missing",
    ]
    (line,) = shown(folder, "broken.png")
    assert line.startswith("picture broken.png: unreadable (")


def test_sounds_are_shown_with_their_length_and_what_is_said(folder):
    pytest.importorskip("av", reason="needs the extra voice")
    assert shown(folder, "a.wav") == ["sound a.wav: 2.5 seconds"]
    assert shown(folder, "a.wav", heard="where is it") == ["sound a.wav: 2.5 seconds “where is it”"]
    assert shown(folder, "a.wav", heard="") == ["sound a.wav: 2.5 seconds without words"]
    assert shown(folder, "gone.wav") == ["sound gone.wav: missing (no such file)"]


def test_what_cannot_be_decoded_here_is_shown_with_what_is_said(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("kdsl.audio.decoding.find_spec", lambda name: None)
    assert shown(folder, "a.wav", heard="where is it") == ["sound a.wav: “where is it”"]
    assert shown(folder, "a.wav") == ["sound a.wav"]
