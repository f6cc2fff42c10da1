"""Files of dialogues are answered turn by turn and dialogue by dialogue; what is done is kept."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from counting_model import CountingModel
from PIL import Image

from kdsl.audio.transcript import Transcript
from kdsl.chat.answer_file import Run, read_answers
from kdsl.chat.answering import ChatModel
from kdsl.chat.dialogue import ChatTurn, Dialogue, Part, agent_says
from kdsl.chat.running import Answering, Distractors
from kdsl.errors import KdslError
from kdsl.vlm.conversation import in_words

RUN = Run(model="m", weights="w", input="i", settings="s")


def user(*parts: str) -> ChatTurn:
    kinds = {".png": "image", ".wav": "audio"}
    return ChatTurn("user", tuple(Part(kinds.get(Path(part).suffix, "text"), part) for part in parts))


def dialogue(id: str, *turns: str, first: str = "hi") -> Dialogue:
    """User and agent take turns."""
    said = [user(turn) if nth % 2 == 0 else agent_says(turn) for nth, turn in enumerate((first, *turns))]
    return Dialogue(id, tuple(said))


class Talker(CountingModel):
    """Says how many messages it was shown, and "the last of them"."""

    def __init__(self) -> None:
        super().__init__(reply=lambda asked: f"{len(asked)} {in_words(asked[-1:])}")


def answering(model, folder: Path, dialogues, transcripts=None, distractors: int = 2, run: Run = RUN) -> Answering:
    return Answering(ChatModel(model, folder), transcripts, Distractors(dialogues, distractors, 0), 2.718281828, run)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def fill(model, output: Path, dialogues, **more):
    return answering(model, output.parent, dialogues, **more).fill(dialogues, output, threads=1)


def test_history_holds_the_models_own_answers(output):
    model = Talker()
    fill(model, output, [dialogue("d", "right one", "2", "right two", "3")])
    found = read_answers(output)
    assert [(each.turn, each.answer, each.reference) for each in found] == [
        (1, "1 hi", "right one"),
        (3, "3 2", "right two"),
        (5, "5 3", None),
    ]
    assert in_words(model.asked[-1]) == "hi1 hi23 23"


def test_right_answers_have_perplexities_and_questions_without_one_do_not(output):
    dialogues = [dialogue(name, name, "and?") for name in ("a", "b", "c", "d")]
    fill(Talker(), output, dialogues)
    asked, last = read_answers(output)[:2]
    assert asked.perplexity == pytest.approx(0.75**-0.5)
    assert asked.others == pytest.approx((0.25**-0.5,) * 2)
    assert (last.perplexity, last.others) == (None, ())


def test_the_right_answer_and_its_distractors_are_scored_in_one_call(output):
    scored: list[list[str]] = []

    class Scored(Talker):
        def score(self, conversations, options):
            scored.append([*options])
            return super().score(conversations, options)

    fill(Scored(), output, [dialogue(name, name) for name in "abc"])
    assert [sorted(each) for each in scored] == [["a", "b", "c"]] * 3
    assert [each[0] for each in scored] == ["a", "b", "c"]


def drawn(dialogues, number: int = 9, seed: int = 0) -> dict[str, list[str]]:
    distractors = Distractors(dialogues, number, seed)
    return {each.id: distractors.of(each.id, next(each.questions())) for each in dialogues}


def test_distractors_are_right_answers_to_other_dialogues_of_the_same_type():
    texts = [dialogue("a", "A"), dialogue("b", "B"), dialogue("c", "C", "more", "C2")]
    pictures = [dialogue("p", "P", first="p.png"), dialogue("q", "A", first="q.png")]
    found = drawn([*texts, *pictures])
    assert {name: sorted(each) for name, each in found.items()} == {
        "a": ["B", "C", "C2"],
        "b": ["A", "C", "C2"],
        "c": ["A", "B"],
        "p": ["A"],
        "q": ["P"],
    }


def test_a_distractor_is_never_the_right_answer_nor_drawn_twice():
    assert drawn([dialogue("a", "yes"), dialogue("b", "yes"), dialogue("c", "no"), dialogue("d", "no")]) == {
        "a": ["no"],
        "b": ["no"],
        "c": ["yes"],
        "d": ["yes"],
    }


def test_distractors_are_drawn_by_seed_and_so_many():
    dialogues = [dialogue(str(number), str(number)) for number in range(20)]
    assert drawn(dialogues, 3) == drawn(dialogues, 3)
    assert drawn(dialogues, 3) != drawn(dialogues, 3, seed=1)
    assert {len(each) for each in drawn(dialogues, 3).values()} == {3}
    assert len({tuple(each) for each in drawn(dialogues, 3).values()}) > 10
    assert {len(each) for each in drawn(dialogues, 0).values()} == {0}


def test_the_same_command_asks_nothing_again(output):
    dialogues = [dialogue("a", "A"), dialogue("b", "B")]
    fill(Talker(), output, dialogues[:1])
    before, model = output.read_bytes(), Talker()
    outcome = fill(model, output, dialogues)
    assert (outcome.answered, outcome.answered_before) == (1, 1)
    assert output.read_bytes().startswith(before)
    assert [each.id for each in read_answers(output)] == ["a", "b"]
    assert fill(model, output, dialogues).answered_before == 2


def test_a_dialogue_of_which_some_answers_are_lost_is_answered_again_without_doubles(output):
    dialogues = [dialogue("a", "A", "2", "B")]
    fill(Talker(), output, dialogues)
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(lines[0] + lines[1][:40])
    fill(Talker(), output, dialogues)
    assert output.read_bytes().splitlines(keepends=True) == lines


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "other"}, "of another model, m;"),
        ({"weights": "other"}, "of m as it was before"),
        ({"input": "other"}, "to another file of dialogues"),
        ({"settings": "other"}, "with other settings"),
    ],
)
def test_answers_of_another_run_are_not_mixed_with_new_ones(output, change, told):
    fill(Talker(), output, [dialogue("a", "A")])
    before = output.read_bytes()
    other = RUN.model_copy(update={"model": "m", **change})
    with pytest.raises(KdslError, match=f"answers.jsonl: holds answers {told}"):
        fill(Talker(), output, [dialogue("b", "B")], run=other)
    assert output.read_bytes() == before


def test_answers_of_another_program_are_scored_but_not_gone_on_with(output):
    line = {"id": "a", "turn": 1, "kind": "text", "answer": "A", "reference": "A"}
    output.write_text(json.dumps(line) + "\n", encoding="utf-8")
    [answer] = read_answers(output)
    assert (answer.answer, answer.run) == ("A", None)
    with pytest.raises(KdslError, match=r"answers\.jsonl: holds answers that another program wrote; name another"):
        fill(Talker(), output, [dialogue("b", "B")])
    assert json.loads(output.read_text(encoding="utf-8")) == line


@pytest.mark.parametrize("threads", [1, 3])
def test_a_picture_that_is_missing_costs_one_dialogue_alone(output, threads):
    Image.new("RGB", (8, 8)).save(output.parent / "there.png")

    class Looking(Talker):
        def _look(self, conversations):
            for conversation in conversations:
                if "gone.png" in in_words(conversation):
                    raise KdslError("gone.png: no such image file")
            super()._look(conversations)

    dialogues = [dialogue("a", "A", first="there.png"), dialogue("b", "B", first="gone.png"), dialogue("c", "C")]
    outcome = answering(Looking(), output.parent, dialogues).fill(dialogues, output, threads)
    assert outcome.problems == {"b": "gone.png: no such image file"}
    assert outcome.answered == 2
    assert {each.id for each in read_answers(output)} == {"a", "c"}


def test_a_model_that_tells_no_perplexities_still_answers(output, caplog):
    model = CountingModel(reply=lambda asked: "yes", evades=lambda asked: True)
    outcome = fill(model, output, [dialogue("a", "A"), dialogue("b", "B")])
    assert outcome.without_perplexity
    assert [(each.answer, each.perplexity) for each in read_answers(output)] == [("yes", None)] * 2
    assert len(caplog.messages) == 1
    assert "the server tells no log-probabilities" in caplog.text
    assert len(model.asked) == 3, "it is asked for perplexities but once"


def test_a_model_that_does_not_hear_reads_and_sounds_without_a_transcript_are_told(output):
    model, heard = Talker(), {"a.wav": Transcript("a.wav", 1.0, "where is it")}
    dialogues = [Dialogue("d", (user("a.wav", "b.wav", "what?"),))]
    outcome = fill(model, output, dialogues, transcripts=heard)
    assert outcome.unheard == ["b.wav"]
    assert in_words(model.asked[0]) == "[sound: “where is it”]\n[a sound that cannot be heard]\nwhat?"
    assert read_answers(output)[0].kind == "audio"


def test_a_model_that_hears_gets_the_sounds(output):
    model = Talker()
    outcome = fill(model, output, [Dialogue("d", (user("a.wav", "what?"),))])
    assert outcome.unheard == []
    assert in_words(model.asked[0]) == f"[audio: {output.parent / 'a.wav'}]what?"


def test_what_was_too_long_is_told(output):
    class Short(Talker):
        def generate(self, conversations, max_new_tokens):
            answers = super().generate(conversations, max_new_tokens)
            return [replace(each, dropped=len(asked) - 1) for each, asked in zip(answers, conversations, strict=True)]

    outcome = fill(Short(), output, [dialogue("a", "A", "2", "B"), dialogue("b", "B")])
    assert outcome.cut == 1
    assert [each.cut for each in read_answers(output)] == [False, True, False]


def test_dialogues_that_want_no_words_are_counted(output):
    silent = Dialogue("d", (user("hi"), ChatTurn("agent", (Part("image", "a.png"),))))
    outcome = fill(Talker(), output, [silent, dialogue("a", "A")])
    assert (outcome.without_question, outcome.answered) == (1, 1)


def test_a_file_of_something_else_is_told_with_its_line(output):
    output.write_text('{"id": "a", "answer": "yes"}\n')
    with pytest.raises(KdslError, match=r"answers.jsonl, line 1: .*; give lines as `kdsl chat run` writes them"):
        fill(Talker(), output, [dialogue("a", "A")])


def test_an_answer_twice_is_told(output):
    fill(Talker(), output, [dialogue("a", "A")])
    output.write_bytes(output.read_bytes() * 2)
    with pytest.raises(KdslError, match=r"line 2: turn 1 of dialogue 'a' is answered twice"):
        read_answers(output)
