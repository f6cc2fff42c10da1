"""Which of a teacher's labels are kept: the confident ones on which rules, or else the model, agree with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.distillation.teacher import NO_LABEL, TeacherLabels

Labels = NDArray[np.int64]

SILENT = -1
"""The word of rules where no reliable rule holds."""


def keeps(teacher_labels: TeacherLabels, model: Labels, rules: Labels, confidence: float) -> NDArray[np.bool_]:
    """[n_samples]: the teacher is at least so confident, and the rules say the same, or are silent and the model does.

    `model` and `rules` [n_samples] are indices of labels, `SILENT` where no reliable rule holds.
    """
    agreed = (rules == teacher_labels.labels) | ((rules == SILENT) & (model == teacher_labels.labels))
    return (teacher_labels.labels != NO_LABEL) & (teacher_labels.confidence >= confidence) & agreed


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """How often teacher, model and rules said what they did: A is the teacher's label, B and C are other ones."""

    teacher: str
    model: str
    rules: str
    samples: int
    confident: int
    kept: int

    def record(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__slots__}


@dataclass(frozen=True, slots=True)
class LabelRow:
    """What became of the samples to which the teacher gave one label."""

    label: str
    answered: int
    confident: int
    kept: int
    model_agrees: int
    rules_agree: int
    rules_object: int
    """A reliable rule holds, and speaks for another label; on all others no such rule holds."""

    def record(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__slots__}


@dataclass(frozen=True)
class Agreement:
    """How far teacher, model and rules say the same."""

    ways: tuple[AgreementRow, ...] = ()
    labels: tuple[LabelRow, ...] = ()


def by_label(
    teacher_labels: TeacherLabels, model: Labels, rules: Labels, confidence: float, names: Sequence[str]
) -> list[LabelRow]:  # fmt: skip
    """One row for each of the labels' `names`, in their order, those too that the teacher never gives."""
    kept = keeps(teacher_labels, model, rules, confidence)
    rows = []
    for index, name in enumerate(names):
        chosen = teacher_labels.labels == index
        rows.append(
            LabelRow(
                name,
                answered=int(chosen.sum()),
                confident=int((chosen & (teacher_labels.confidence >= confidence)).sum()),
                kept=int((chosen & kept).sum()),
                model_agrees=int((chosen & (model == index)).sum()),
                rules_agree=int((chosen & (rules == index)).sum()),
                rules_object=int((chosen & (rules != index) & (rules != SILENT)).sum()),
            )
        )
    return rows


def by_way(teacher_labels: TeacherLabels, model: Labels, rules: Labels, confidence: float) -> list[AgreementRow]:
    """One row for each way in which the three agree or not, the commonest first."""
    kept = keeps(teacher_labels, model, rules, confidence)
    ways = [
        _way(*labels) for labels in zip(teacher_labels.labels.tolist(), model.tolist(), rules.tolist(), strict=True)
    ]
    rows = []
    for way in dict.fromkeys(ways):
        chosen = np.array([each == way for each in ways])
        confident = chosen & (teacher_labels.labels != NO_LABEL) & (teacher_labels.confidence >= confidence)
        rows.append(AgreementRow(*way, int(chosen.sum()), int(confident.sum()), int((kept & chosen).sum())))
    return sorted(rows, key=lambda row: (-row.samples, row.teacher, row.model, row.rules))


def _way(teacher: int, model: int, rules: int) -> tuple[str, str, str]:
    letters: dict[int, str] = {NO_LABEL: "-"}
    return _letter(teacher, letters), _letter(model, letters), _letter(rules, letters)


def _letter(label: int, letters: dict[int, str]) -> str:
    return letters.setdefault(label, "ABC"[len(letters) - 1])
