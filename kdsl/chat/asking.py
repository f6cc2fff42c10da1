"""A game of questions: each with what there is to look at, and a time limit for its answer."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from kdsl.audio.decoding import audio_facts
from kdsl.audio.transcript import Transcript
from kdsl.chat.dialogue import ChatTurn, Dialogue
from kdsl.data.images import image_facts
from kdsl.errors import KdslError
from kdsl.files import inside


@dataclass(frozen=True, slots=True)
class GameQuestion:
    """A question, with the dialogue up to it; turns before it have the right answers."""

    dialogue: str
    turn: int
    turns: tuple[ChatTurn, ...]
    reference: str


@dataclass(frozen=True, slots=True)
class Given:
    """What was answered to a question."""

    question: GameQuestion
    answer: str | None
    """None where nobody answered."""
    seconds: float
    """How long it took."""
    in_time: bool
    """Whether it counts."""
    problem: str = ""
    """Why the model could not answer."""


Answerer = Callable[[GameQuestion], str | None]
"""Answers a question; None where nobody does. KdslError for a question that cannot be answered."""


@dataclass(frozen=True, slots=True)
class Game:
    """Questions, and where their pictures and sounds lie."""

    questions: list[GameQuestion]
    images: Path
    sounds: Path
    transcripts: Mapping[str, Transcript]

    def looked_at(self, question: GameQuestion) -> list[str]:
        """What there is to look at and to listen to, a line each: the size of a picture, how long a sound is, and what
        is said in it; of a file that cannot be used, why."""
        return [
            _picture(part.content, self.images)
            if part.kind == "image"
            else _sound(part.content, self.sounds, self.transcripts.get(part.content))
            for turn in question.turns
            for part in turn.parts
            if part.kind != "text"
        ]


def draw_questions(dialogues: Sequence[Dialogue], number: int, seed: int) -> list[GameQuestion]:
    """Questions of these dialogues in their order, drawn where there are more than `number`; KdslError for none."""
    all_of_them = [
        GameQuestion(dialogue.id, each.turn, dialogue.turns[: each.turn], each.reference)
        for dialogue in dialogues
        for each in dialogue.questions()
    ]
    if not all_of_them:
        raise KdslError("the dialogues ask nothing that is answered in words; give some that end with a question")
    chosen = random.Random(seed).sample(range(len(all_of_them)), min(number, len(all_of_them)))
    return [all_of_them[index] for index in sorted(chosen)]


def played(question: GameQuestion, answerer: Answerer, limit: float, clock: Callable[[], float] = monotonic) -> Given:
    """One question and its answer, which must be there within `limit` seconds to count."""
    begun, answer, problem = clock(), None, ""
    try:
        answer = answerer(question)
    except KdslError as error:
        problem = str(error)
    seconds = clock() - begun
    return Given(question, answer, seconds, answer is not None and seconds <= limit, problem)


def _picture(name: str, folder: Path) -> str:
    facts = image_facts(folder, name)
    if facts.problem is None and facts.size is not None:
        return f"picture {name}: {facts.size[0]} x {facts.size[1]} pixels"
    return f"picture {name}: {facts.problem}{facts.detail and f' ({facts.detail})'}"


def _sound(name: str, folder: Path, transcript: Transcript | None) -> str:
    said = "" if transcript is None else f" “{transcript.text}”" if transcript.text else " without words"
    try:
        facts = audio_facts(inside(folder, name))
    except KdslError:  # nothing here can decode sounds
        return f"sound {name}:{said}" if said else f"sound {name}"
    if facts.problem in ("missing", "unreadable", "long"):
        return f"sound {name}: {facts.problem}{facts.detail and f' ({facts.detail})'}{said}"
    return f"sound {name}: {facts.seconds:.1f} seconds{(facts.problem and f', {facts.problem}') or ''}{said}"
