"""A large model that ran elsewhere: its recorded answers, turned into calibrated probabilities."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.json_file import read_jsonl
from kdsl.models.by_order import Orders, has_no_ids, with_ids
from kdsl.models.classifier import Predicted
from kdsl.models.label_answers import NO_ANSWER, Answers, Calibration, calibrate
from kdsl.sample import Sample, Task
from kdsl.vlm.free_text import find_label

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """Answers by sample id: an index into the task's labels, or `NO_ANSWER` where the answer was none of them."""

    path: Path
    labels: tuple[str, ...]
    answers: dict[str, int]
    probabilities: dict[str, Floats]
    """[n_labels], summing to 1, of the samples for which the file gives probabilities."""
    by_content: bool = False
    """True where the file has no ids: then the samples' fingerprints stand for them."""

    def of(self, table: FieldTable) -> Answers:
        """What the file says about the rows of `table`; those that it does not have are without an answer."""
        keys = [self._key(row.sample) for row in table.rows]
        labels = np.array([self.answers.get(key, NO_ANSWER) for key in keys], dtype=np.int64)
        return Answers(labels, [self.probabilities.get(key) for key in keys])

    def covers(self, table: FieldTable) -> NDArray[np.bool_]:
        """[n_samples]: whether the file has the sample, whatever the answer was."""
        return np.array([self._key(row.sample) in self.answers for row in table.rows], dtype=bool)

    def require_any(self, table: FieldTable) -> None:
        """Raises KdslError when the file holds none of these samples: it is then a file for other samples."""
        if not len(table) or self.covers(table).any():
            return
        example = table.rows[0].sample.id
        if self.by_content:
            raise KdslError(
                f"{self.path}: predictions for other samples than these (like {example!r}); give the file predicted "
                "for them"
            )
        raise KdslError(
            f"{self.path}: predictions for other samples: none of the samples' ids (like {example!r}) occurs "
            f"among its ids (like {next(iter(self.answers))!r}); give the file predicted for these samples"
        )

    def _key(self, sample: Sample) -> str:
        return sample.fingerprint if self.by_content else sample.id


def read_recorded(path: Path, task: Task, orders: Orders = ()) -> Recorded:
    """Read predictions, one JSON object a line: `id`, `label`, optional `probabilities` {label: p}, optional `task`.

    Or those of LLaMA-Factory or ms-swift, which have no ids: then `orders` holds the samples of the data files, in
    their order.

    Records whose `task` is another one are left out; other samples' ids are fine. An answer that is no label of
    `task` (see `find_label`) counts as no answer; these are counted in a warning, and so are probabilities of
    unknown labels, which are left out of the sum. Raises KdslError for a record of another shape, an id given twice,
    and a file without a single answer that is a label of the task.
    """
    index = {name: number for number, name in enumerate(task.label_names)}
    answers: dict[str, int] = {}
    probabilities: dict[str, Floats] = {}
    unusable: list[str] = []
    foreign: list[str] = []
    by_order = has_no_ids(path)
    for number, record in with_ids(path, orders) if by_order else read_jsonl(path):
        place = f"{path}, line {number}"
        if record.get("task") not in (None, task.name):
            continue
        identity, answer = _identity_and_answer(place, record)
        if identity in answers:
            raise KdslError(f"{place}: id {identity!r} is predicted twice; keep one line an id")
        label = find_label(answer, task.label_names)
        answers[identity] = NO_ANSWER if label is None else label
        if answers[identity] == NO_ANSWER:
            unusable.append(f"line {number}: {_shown(answer)}")
        if record.get("probabilities") is not None:
            values, unknown = _probabilities(place, record["probabilities"], index)
            foreign.extend(f"line {number}: {_shown(name)}" for name in unknown[:1])
            if values is not None:
                probabilities[identity] = values
    if not answers:
        raise KdslError(
            f'{path}: holds no predictions for {task.name}; expected lines like {{"id": "1", "label": "…"}}'
        )
    if len(unusable) == len(answers):
        raise KdslError(
            f"{path}: none of its {len(answers)} answers ({unusable[0]}) is a label of {task.name}; its labels are "
            f"{', '.join(task.label_names[:3])}, …"
        )
    if unusable:
        _log.warning(
            "%s: %d of %d answers are no label of %s and count as no answer (%s)",
            path, len(unusable), len(answers), task.name, unusable[0],
        )  # fmt: skip
    if foreign:
        _log.warning(
            "%s: %d records give probabilities to labels that %s does not have, which are left out (%s)",
            path, len(foreign), task.name, foreign[0],
        )  # fmt: skip
    return Recorded(path, task.label_names, answers, probabilities, by_order)


def _identity_and_answer(place: str, record: dict[str, Any]) -> tuple[str, str]:
    identity, answer = record.get("id"), record.get("label", "")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not (answer is None or isinstance(answer, str)) or "label" not in record:
        raise KdslError(f'{place}: not a prediction; expected {{"id": "1", "label": "…"}}')
    return identity, answer or ""


def _probabilities(place: str, value: Any, index: dict[str, int]) -> tuple[Floats | None, list[str]]:
    """Probabilities over the task's labels, None when all of them lie elsewhere; and the names of unknown labels."""
    if not isinstance(value, dict):
        raise KdslError(f'{place}: probabilities is {_shown(value)}; it must be like {{"label": 0.7, …}}')
    result = np.zeros(len(index))
    unknown = []
    for name, probability in value.items():
        if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise KdslError(
                f"{place}: the probability of {_shown(name)} is {_shown(probability)}; it must be a number from 0 to 1"
            )
        if name.strip() in index:
            result[index[name.strip()]] += probability
        else:
            unknown.append(name)
    return (result / result.sum() if result.sum() > 0 else None), unknown


def _shown(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


@dataclass(frozen=True)
class RecordedTrainer:
    """Learns from labelled samples what the recorded answers are worth."""

    recorded: Recorded

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> "RecordedClassifier":
        """See `Trainer.fit`; KdslError also when the file holds none of the samples."""
        if len(table) == 0:
            raise KdslError(f"{self.recorded.path}: no labelled samples to calibrate the predictions on; give some")
        self.recorded.require_any(table)
        return RecordedClassifier(self.recorded, calibrate(self.recorded.of(table), labels, n_labels))


@dataclass(frozen=True)
class RecordedClassifier:
    """The recorded answers, as far as they proved right on training samples."""

    recorded: Recorded
    calibration: Calibration

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`."""
        answers = self.recorded.of(table)
        return Predicted(self.calibration.probabilities(answers), answers.answered)

    def save(self, folder: Path) -> None:
        """Write the calibration to `recorded.json`; the answers stay in their own file."""
        self.calibration.save(folder, self.recorded.labels)

    @classmethod
    def load(cls, folder: Path, recorded: Recorded) -> "RecordedClassifier":
        """The calibration in `folder` on the answers of `recorded`, which may hold new samples by now.

        Raises KdslError when the file is missing, damaged, of another version or for other labels.
        """
        return cls(recorded, Calibration.load(folder, recorded.labels))
