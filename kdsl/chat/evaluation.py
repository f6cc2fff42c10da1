"""How good answers are: by type of dialogue, and the integral score of FusionBrain Challenge 3.0."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from kdsl.chat.answer_file import Answer
from kdsl.chat.dialogue import KINDS, Dialogue, Kind
from kdsl.chat.meteor import MeteorScore
from kdsl.errors import KdslError

WEIGHTS: dict[Kind, float] = {"text": 0.1, "image": 0.2, "audio": 0.3, "image_audio": 0.4}
"""What each type counts for in the integral score."""


@dataclass(frozen=True, slots=True)
class KindScores:
    """Means over the answers of one type, or of all; None where nothing tells."""

    answers: int
    """Those that there is a right answer to."""
    meteor_nltk: float | None
    meteor: float | None
    """By the formula of the contract."""
    perplexity: float | None
    """Of right answers: the geometric mean."""
    compared: int
    """Answers that were compared with answers to other dialogues."""
    accuracy: float | None
    """Of perplexity: how often the right answer has a lower one than all others that it was compared with."""
    chance: float | None
    """What the accuracy is where perplexities say nothing."""

    @property
    def score(self) -> float | None:
        """The mean of METEOR, by the contract's formula, and the accuracy of perplexity."""
        return None if self.meteor is None or self.accuracy is None else (self.meteor + self.accuracy) / 2

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "answers": self.answers,
            "meteor_nltk": self.meteor_nltk,
            "meteor": self.meteor,
            "perplexity": self.perplexity,
            "compared": self.compared,
            "accuracy": self.accuracy,
            "chance": self.chance,
            "score": self.score,
        }


@dataclass(frozen=True)
class Evaluation:
    kinds: dict[Kind, KindScores]
    """Of the types that occur."""
    all: KindScores
    without_reference: int
    """Answers that nothing can be said about."""
    unanswered: int
    """Questions with a right answer that were not answered, as far as the dialogues are known."""

    @property
    def missing(self) -> list[Kind]:
        """Types without a score."""
        return [kind for kind in KINDS if kind not in self.kinds or self.kinds[kind].score is None]

    @property
    def integral(self) -> float | None:
        """The sum of the types' scores by their weights, 0 for a missing type; None where all are missing."""
        found = [self._weighed(kind) for kind in KINDS if kind not in self.missing]
        return sum(found) if found else None

    @property
    def renormalised(self) -> float | None:
        """The same by the weights of the types that are there, as if these were all."""
        weight = sum(WEIGHTS[kind] for kind in KINDS if kind not in self.missing)
        return None if self.integral is None else self.integral / weight

    def _weighed(self, kind: Kind) -> float:
        return WEIGHTS[kind] * (self.kinds[kind].score or 0.0)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "types": {kind: {"weight": WEIGHTS[kind], **scores.record()} for kind, scores in self.kinds.items()},
            "all": self.all.record(),
            "integral": self.integral,
            "renormalised": self.renormalised,
            "missing_types": self.missing,
            "without_reference": self.without_reference,
            "unanswered": self.unanswered,
        }


def evaluate_answers(
    answers: Sequence[Answer], meteor: Callable[[str, str], MeteorScore], unanswered: int = 0
) -> Evaluation:
    """Scores of the answers that have a right one; `meteor` compares an answer with it. KdslError where none has."""
    known = [answer for answer in answers if answer.reference]
    if not known:
        raise KdslError("no answer has a right one to be compared with; name the dialogues with --input")
    scored = [(answer, meteor(answer.answer, answer.reference or "")) for answer in known]
    by_kind = {kind: [each for each in scored if each[0].kind == kind] for kind in KINDS}
    kinds = {kind: _scores(own) for kind, own in by_kind.items() if own}
    return Evaluation(kinds, _scores(scored), len(answers) - len(known), unanswered)


def with_references(answers: Sequence[Answer], dialogues: Sequence[Dialogue]) -> tuple[list[Answer], int]:
    """The answers with the right ones of these dialogues, and how many questions that have one are not answered.

    KdslError for an answer to a question that is not in them.
    """
    right = {(dialogue.id, each.turn): each.reference for dialogue in dialogues for each in dialogue.questions()}
    found = []
    for answer in answers:
        key = answer.id, answer.turn
        if key not in right:
            raise KdslError(
                f"an answer to turn {answer.turn} of dialogue {answer.id!r}, which asks nothing in --input or is not "
                "in it; name the dialogues that were answered"
            )
        found.append(answer.model_copy(update={"reference": right[key] or None}))
    answered = {(answer.id, answer.turn) for answer in answers}
    return found, sum(bool(reference) and key not in answered for key, reference in right.items())


def _scores(scored: Sequence[tuple[Answer, MeteorScore]]) -> KindScores:
    told = [answer.perplexity for answer, _ in scored if answer.perplexity is not None]
    compared = [answer for answer, _ in scored if answer.perplexity is not None and answer.others]
    return KindScores(
        answers=len(scored),
        meteor_nltk=_mean([score.nltk for _, score in scored]),
        meteor=_mean([score.formula for _, score in scored]),
        perplexity=exp(sum(map(log, told)) / len(told)) if told else None,
        compared=len(compared),
        accuracy=_mean([float((answer.perplexity or 0.0) < min(answer.others)) for answer in compared]),
        chance=_mean([1 / (1 + len(answer.others)) for answer in compared]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
