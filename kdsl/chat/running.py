"""Answering a file of dialogues: each one once, a finished dialogue at a time."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from kdsl.audio.transcript import Transcript
from kdsl.chat.answer_file import Answer, Run, read_answers, require_same
from kdsl.chat.answering import ChatModel, NoPerplexity
from kdsl.chat.dialogue import ChatTurn, Dialogue, Kind, Question
from kdsl.chat.hearing import in_text, unheard
from kdsl.json_file import append_jsonl
from kdsl.progress import Progress, reported
from kdsl.small.many import Failed, answers
from kdsl.vlm.model import Generation

_log = logging.getLogger(__name__)

_AT_ONCE = 32
"""Dialogues that are answered together: an interruption loses no more than these."""


@dataclass
class RunOutcome:
    """How many dialogues were answered now and before, and what was wrong with the others."""

    answered: int = 0
    answered_before: int = 0
    without_question: int = 0
    """Dialogues in which nothing waits for an answer in words."""
    cut: int = 0
    """Questions before which the earliest turns were left out, for their dialogues were too long."""
    without_perplexity: bool = False
    """Whether the model does not tell how probable answers are."""
    unheard: list[str] = field(default_factory=list)
    """Sounds that the model did not hear, and of which nobody wrote down what is said in them."""
    problems: dict[str, str] = field(default_factory=dict)
    """Dialogue → why it has no answers; the next run tries again."""


class Distractors:
    """Wrong answers to compare the right one with: right answers to other dialogues of the same type."""

    def __init__(self, dialogues: Sequence[Dialogue], number: int, seed: int) -> None:
        """At most `number` a question, drawn by `seed`: the same ones whichever dialogues are answered when."""
        self._number, self._seed = number, seed
        self._pools: dict[Kind, list[tuple[str, str]]] = {}
        for dialogue in dialogues:
            for question in dialogue.questions():
                if question.reference:
                    self._pools.setdefault(question.kind, []).append((dialogue.id, question.reference))

    def of(self, dialogue: str, question: Question) -> list[str]:
        """All different from each other and from the right answer; fewer where there are no more."""
        source = random.Random(f"{self._seed} {dialogue} {question.turn}")
        pool = self._pools.get(question.kind, [])
        found: dict[str, None] = {}
        for origin, answer in source.sample(pool, len(pool)):
            if len(found) == self._number:
                break
            if origin != dialogue and answer != question.reference:
                found.setdefault(answer)
        return [*found]


@dataclass
class Answering:
    """Answers dialogues, each turn on the grounds of the model's own earlier answers, as the contract has it."""

    chat: ChatModel
    transcripts: Mapping[str, Transcript] | None
    """What is said in sounds, for a model that does not hear; None for one that hears them."""
    distractors: Distractors
    base: float
    run: Run
    outcome: RunOutcome = field(default_factory=RunOutcome)
    _tells: bool | None = None
    """Whether the model tells perplexities; None before it was asked."""
    _first: Lock = field(default_factory=Lock)

    def fill(
        self, dialogues: Sequence[Dialogue], output: Path, threads: int, progress: Progress | None = None
    ) -> RunOutcome:
        """Answer all dialogues that `output` has no answers to, and append them there.

        With one thread dialogues go through the model together, with several each by itself. A dialogue that cannot
        be answered, for a picture that is missing, is counted and tried again next time. Raises KdslError for an
        output of another run and a model that fails; KeyboardInterrupt says what is done. All that is done is kept.
        """
        outcome = self.outcome
        with append_jsonl(output) as append:
            known = read_answers(output)
            require_same(output, known, self.run)
            there = {(answer.id, answer.turn) for answer in known}
            asking = [dialogue for dialogue in dialogues if any(dialogue.questions())]
            waiting = [each for each in asking if not all((each.id, one.turn) in there for one in each.questions())]
            outcome.without_question = len(dialogues) - len(asking)
            outcome.answered_before = len(asking) - len(waiting)
            if self.transcripts is not None:
                outcome.unheard = unheard((turn for each in asking for turn in each.turns), self.transcripts)
            try:
                with reported(progress, "Answering dialogues", len(waiting)) as advance:
                    for start in range(0, len(waiting), _AT_ONCE):
                        window = waiting[start : start + _AT_ONCE]
                        for row, found in answers(window, self.answer, threads):
                            if isinstance(found, Failed):
                                outcome.problems[window[row].id] = found.reason
                            else:
                                # A power cut may have left some of a dialogue's answers.
                                append(*(record for record in found if (record["id"], record["turn"]) not in there))
                                outcome.answered += 1
                                outcome.cut += sum(record["cut"] for record in found)
                            advance("Answering dialogues")
            except KeyboardInterrupt:
                done = f"the answers to {outcome.answered + outcome.answered_before} dialogues are in {output}"
                raise KeyboardInterrupt(f"{done}; run again to go on") from None
        return outcome

    def answer(self, dialogues: Sequence[Dialogue]) -> list[list[dict[str, Any]]]:
        """The records of each dialogue's answers; turn by turn, all dialogues at once."""
        questions = [[*dialogue.questions()] for dialogue in dialogues]
        said: list[dict[int, str]] = [{} for _ in dialogues]
        records: list[list[dict[str, Any]]] = [[] for _ in dialogues]
        for nth in range(max(map(len, questions), default=0)):
            rows = [row for row, own in enumerate(questions) if nth < len(own)]
            asked = [self._turns(dialogues[row].asked(questions[row][nth], said[row])) for row in rows]
            for row, turns, answer in zip(rows, asked, self.chat.generations(asked), strict=True):
                question = questions[row][nth]
                said[row][question.turn] = answer.text
                records[row].append(self._record(dialogues[row], question, turns, answer))
        return records

    def _turns(self, turns: tuple[ChatTurn, ...]) -> tuple[ChatTurn, ...]:
        return turns if self.transcripts is None else in_text(turns, self.transcripts)

    def _record(
        self, dialogue: Dialogue, question: Question, turns: tuple[ChatTurn, ...], answer: Generation
    ) -> dict[str, Any]:
        perplexities = self._perplexities(dialogue, question, turns)
        found = Answer(
            id=dialogue.id,
            turn=question.turn,
            kind=question.kind,
            answer=answer.text,
            cut=answer.dropped > 0,
            reference=question.reference or None,
            perplexity=perplexities[0] if perplexities else None,
            others=tuple(perplexities[1:]),
            run=self.run,
        )
        return found.model_dump(mode="json")

    def _perplexities(self, dialogue: Dialogue, question: Question, turns: tuple[ChatTurn, ...]) -> list[float]:
        """Of the right answer, then of others; nothing without one, and where the model does not tell."""
        if not question.reference:
            return []
        compared = [question.reference, *self.distractors.of(dialogue.id, question)]
        if self._tells is None:
            with self._first:  # others wait to learn whether the model tells
                if self._tells is None:
                    return self._asked_first(turns, compared)
        return self.chat.perplexity(turns, compared, self.base) if self._tells else []

    def _asked_first(self, turns: tuple[ChatTurn, ...], compared: Sequence[str]) -> list[float]:
        try:
            found = self.chat.perplexity(turns, compared, self.base)
        except NoPerplexity as error:
            self._tells, self.outcome.without_perplexity = False, True
            _log.warning("%s", error)
            return []
        self._tells = True
        return found
