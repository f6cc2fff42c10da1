"""The question sidecar: what a vision-language model answered to yes/no questions about each image.

One line an image and set of questions, `{"image": "a.jpg", "model": "…", "answers": {"图中有…吗？": 0.97}}`, and one a
question with its threshold, `{"question": "图中有…吗？", "model": "…", "threshold": 0.81}`. Of several lines about the
same image and question, or the same question, the last one holds.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kdsl.files import parsing
from kdsl.result_shards import records_at

_EXPECTED = 'expected {"image": "a.jpg", "model": "…", "answers": {"图中有…吗？": 0.97}}'
PLAIN = 0.5
"""The threshold of a question that has none of its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    probability: float
    """Of yes, as the model gave it."""
    model: str


@dataclass(frozen=True, slots=True)
class QuestionSidecar:
    """Everything in a question sidecar."""

    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    """image → question → answer."""
    thresholds: dict[tuple[str, str], float] = field(default_factory=dict)
    """(question, model) → probability from which an answer counts as yes."""

    def probabilities(self) -> dict[str, dict[str, float]]:
        """image → question → probability of yes, moved on the scale of log odds so that 0.5 is the threshold."""
        return {
            image: {
                question: moved(answer.probability, self.thresholds.get((question, answer.model), PLAIN))
                for question, answer in asked.items()
            }
            for image, asked in self.answers.items()
        }


def read_answers(path: Path) -> QuestionSidecar:
    """Read a question sidecar, or a folder of results; KdslError names the first record of another shape."""
    sidecar = QuestionSidecar()
    for place, record in records_at(path):
        with parsing(place, "not a record of visual questions", _EXPECTED):
            if "question" in record:
                key = _text(record["question"]), _text(record["model"])
                sidecar.thresholds[key] = _probability(record["threshold"])
            else:
                model = _text(record["model"])
                answers = {_text(q): Answer(_probability(p), model) for q, p in record["answers"].items()}
                sidecar.answers.setdefault(_text(record["image"]), {}).update(answers)
    return sidecar


def read_probabilities(path: Path) -> dict[str, dict[str, float]]:
    """`QuestionSidecar.probabilities` of a question sidecar; errors of `read_answers`."""
    return read_answers(path).probabilities()


def moved(probability: float, threshold: float) -> float:
    """The probability on a scale where `threshold` is 0.5: log odds less those of the threshold."""
    if threshold == PLAIN:
        return probability
    odds = _odds(probability) / _odds(threshold)
    return float(odds / (1 + odds))


def _odds(probability: float) -> float:
    bounded = float(np.clip(probability, 1e-9, 1 - 1e-9))
    return bounded / (1 - bounded)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} must be text")
    return value


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise ValueError(f"{value!r} is not a probability")
    return float(value)
