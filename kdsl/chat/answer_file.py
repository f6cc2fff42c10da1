"""The file of answers: one JSON line a question, with how probable the model finds the right answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kdsl.chat.dialogue import Kind
from kdsl.errors import KdslError
from kdsl.json_file import read_jsonl
from kdsl.record_file import Count, RecordModel, as_record


class Run(RecordModel):
    """What answers depend on: answers of two runs do not stand in one file."""

    model: str
    """What it is called."""
    weights: str
    """These and all below are short hashes: of the model and what it sees of pictures;"""
    input: str
    """of the file of dialogues;"""
    settings: str
    """and of what kdsl.yaml and the command say: how answers are asked for and compared, and transcripts."""


class Answer(RecordModel):
    """An answer to one question, and what is known about the right one."""

    id: str
    """That of the dialogue."""
    turn: Count
    """Which turn the question is, from 1, of those that user and agent have."""
    kind: Kind
    """What the dialogue holds up to there."""
    answer: str
    cut: bool = False
    """Whether the dialogue was too long, so that its earliest turns were left out."""
    reference: str | None = None
    """The right answer; None where the dialogue has none."""
    perplexity: Annotated[float, Field(gt=0)] | None = None
    """Of the right answer; None without one, and where the model does not tell."""
    others: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """The perplexities of answers to other dialogues, in its place."""
    run: Run | None = None
    """None in a file that another program wrote."""


def read_answers(path: Path) -> list[Answer]:
    """All answers in a file; KdslError with the line of the first that is none, or answers a question once more."""
    answers: dict[tuple[str, int], Answer] = {}
    for line, record in read_jsonl(path):
        place = f"{path}, line {line}"
        answer = as_record(Answer, record, place, "give lines as `kdsl chat run` writes them")
        if (answer.id, answer.turn) in answers:
            raise KdslError(f"{place}: turn {answer.turn} of dialogue {answer.id!r} is answered twice; take one out")
        answers[answer.id, answer.turn] = answer
    return [*answers.values()]


def require_same(path: Path, answers: Sequence[Answer], run: Run) -> None:
    """KdslError where the file holds answers of another run, which are not to be lost or mixed with those of `run`."""
    others = [answer.run for answer in answers if answer.run != run]
    if not others:
        return
    before = others[0]
    if before is None:
        how = "that another program wrote"
    elif before.model != run.model:
        how = f"of another model, {before.model}"
    elif before.weights != run.weights:
        how = f"of {run.model} as it was before"
    elif before.input != run.input:
        how = "to another file of dialogues, or to this one before it was changed"
    else:
        how = "with other settings"
    raise KdslError(f"{path}: holds answers {how}; name another file, or delete this one to answer all again")
