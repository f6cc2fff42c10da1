"""A large model that ran elsewhere: its recorded answers, turned into calibrated probabilities."""

import json
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import read_json, read_jsonl, write_atomically
from kdsl.models.llama_factory import Orders, is_llama_factory, with_ids
from kdsl.sample import Task
from kdsl.vlm.answers import find_label

Floats = NDArray[np.float64]

FILE = "recorded.json"
VERSION = 1
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Candidate weights of what is expected of an answer before its own row is looked at, in samples."""
TRUSTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Candidate shares of that expectation that stand on the recorded label itself; the rest follows the class prior."""
SMALLEST = 1e-6
"""Least probability of a label, before rows are made to sum to 1."""
PRIOR_COUNT = 0.5
"""Added to the samples of every label before they become the class prior, so that no label is impossible."""
NO_ANSWER = -1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """Answers by sample id: an index into the task's labels, or `NO_ANSWER` where the answer was none of them."""

    path: Path
    labels: tuple[str, ...]
    answers: dict[str, int]
    probabilities: dict[str, Floats]
    """[n_labels], summing to 1, of the samples for which the file gives probabilities."""

    def require_any(self, ids: Iterable[str]) -> None:
        """Raises KdslError when the file holds none of these samples: it is then a file for other samples."""
        example = None
        for identity in ids:
            if identity in self.answers:
                return
            example = example or identity
        if example is not None:
            raise KdslError(
                f"{self.path}: predictions for other samples: none of the samples' ids (like {example!r}) occurs "
                f"among its ids (like {next(iter(self.answers))!r}); give the file predicted for these samples"
            )


def read_recorded(path: Path, task: Task, orders: Orders = ()) -> Recorded:
    """Read predictions, one JSON object a line: `id`, `label`, optional `probabilities` {label: p}, optional `task`.

    Or those of LLaMA-Factory, which have no ids: then `orders` holds the samples of the data files, in their order.

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
    for number, record in with_ids(path, orders) if is_llama_factory(path) else read_jsonl(path):
        place = f"{path}, line {number}"
        if record.get("task", task.name) != task.name:
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
    return Recorded(path, task.label_names, answers, probabilities)


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
        ids = _ids(table)
        self.recorded.require_any(ids)
        answers = np.array([self.recorded.answers.get(identity, NO_ANSWER) for identity in ids])
        answered = answers != NO_ANSWER
        counts = np.zeros((n_labels, n_labels))
        np.add.at(counts, (answers[answered], labels[answered]), 1)
        totals = np.bincount(labels, minlength=n_labels).astype(np.float64)
        strength, trust = _smoothing(counts, totals)
        confusion = Confusion(counts, totals, strength, trust)
        weights = self._pool(confusion, ids, answers, labels)
        return RecordedClassifier(self.recorded, confusion, *weights)

    def _pool(
        self, confusion: "Confusion", ids: list[str], answers: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> tuple[float, float]:
        """Exponents of the confusion matrix and of the recorded probabilities, by leave-one-out likelihood."""
        given = [row for row, identity in enumerate(ids) if identity in self.recorded.probabilities]
        if not given:
            return 1.0, 0.0
        from scipy.optimize import minimize
        from scipy.special import log_softmax

        left_out = np.log(np.array([confusion.without(answers[row], labels[row]) for row in given]))
        recorded = _logs([self.recorded.probabilities[ids[row]] for row in given])
        truth = np.arange(len(given)), labels[given]

        def loss(exponents: Floats) -> float:
            scores = exponents[0] * left_out + exponents[1] * recorded
            return float(-log_softmax(scores, axis=1)[truth].mean() + 1e-3 * ((exponents - (1.0, 0.0)) ** 2).sum())

        best = minimize(loss, np.array([1.0, 0.0]), bounds=((0.0, 10.0), (0.0, 10.0)), method="L-BFGS-B").x
        return float(best[0]), float(best[1])


@dataclass(frozen=True)
class Confusion:
    """How often each label was the true one where an answer was recorded, smoothed.

    P(true | answer) = (counts[answer, true] + strength · expected[answer, true]) / (Σ counts[answer] + strength) with
    expected[answer] = trust · [true = answer] + (1 - trust) · prior; without an answer, the prior alone.
    """

    counts: Floats  # [n_labels, n_labels], row = recorded label, column = true label
    totals: Floats  # [n_labels] training samples of every label, those without an answer included
    strength: float
    trust: float

    def probabilities(self, answer: int) -> Floats:
        """[n_labels], for the index of a label or `NO_ANSWER`."""
        row = np.zeros_like(self.totals) if answer == NO_ANSWER else self.counts[answer]
        return self._smoothed(answer, row, self.totals)

    def without(self, answer: int, truth: int) -> Floats:
        """What `probabilities(answer)` would be had one training sample with this answer and label not been there."""
        own = np.zeros_like(self.totals)
        own[truth] = 1
        row = own if answer == NO_ANSWER else self.counts[answer]
        return self._smoothed(answer, row - own, self.totals - own)

    def _smoothed(self, answer: int, row: Floats, totals: Floats) -> Floats:
        prior = (totals + PRIOR_COUNT) / (totals + PRIOR_COUNT).sum()
        if answer == NO_ANSWER:
            return prior
        expected = (1 - self.trust) * prior
        expected[answer] += self.trust
        return (row + self.strength * expected) / (row.sum() + self.strength)


def _smoothing(counts: Floats, totals: Floats) -> tuple[float, float]:
    """The strength and trust with the highest leave-one-out likelihood of the training labels."""
    cells = np.argwhere(counts > 0)
    weights = counts[counts > 0]
    best, chosen = math.inf, (STRENGTHS[0], 0.5)
    for strength in STRENGTHS:
        for trust in TRUSTS:
            confusion = Confusion(counts, totals, strength, trust)
            likelihoods = np.array([confusion.without(answer, truth)[truth] for answer, truth in cells])
            loss = -float((weights * np.log(likelihoods)).sum())
            if loss < best - 1e-9:
                best, chosen = loss, (strength, trust)
    return chosen


@dataclass(frozen=True)
class RecordedClassifier:
    """log p(true) = a · log P(true | recorded label) + b · log recorded probability(true), normalised.

    Where the file gives no probabilities, P(true | recorded label) alone.
    """

    recorded: Recorded
    confusion: Confusion
    confusion_exponent: float
    probability_exponent: float

    def probabilities(self, table: FieldTable) -> Floats:
        """[n_samples, n_labels]; see `Classifier.probabilities`. Samples without an answer get the class prior."""
        n_labels = len(self.confusion.totals)
        rows = {answer: self.confusion.probabilities(answer) for answer in range(NO_ANSWER, n_labels)}
        ids = _ids(table)
        result = np.empty((len(ids), n_labels))
        for number, identity in enumerate(ids):
            result[number] = rows[self.recorded.answers.get(identity, NO_ANSWER)]
            given = self.recorded.probabilities.get(identity)
            if given is not None:
                scores = self.confusion_exponent * np.log(result[number])
                scores += self.probability_exponent * _logs([given])[0]
                result[number] = np.exp(scores - scores.max())
        result = np.maximum(result / result.sum(axis=1, keepdims=True), SMALLEST)
        return result / result.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """Write the calibration to `recorded.json`; the answers stay in their own file."""
        record = {
            "version": VERSION,
            "labels": list(self.recorded.labels),
            "counts": self.confusion.counts.tolist(),
            "totals": self.confusion.totals.tolist(),
            "strength": self.confusion.strength,
            "trust": self.confusion.trust,
            "confusion_exponent": self.confusion_exponent,
            "probability_exponent": self.probability_exponent,
        }
        write_atomically(folder / FILE, json.dumps(record, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path, recorded: Recorded) -> "RecordedClassifier":
        """The calibration in `folder` on the answers of `recorded`, which may hold new samples by now.

        Raises KdslError when the file is missing, damaged, of another version or for other labels.
        """
        path = folder / FILE
        record = read_json(path)
        again = "calibrate again with: kdsl train"
        try:
            if record["version"] != VERSION:
                raise KdslError(f"{path}: version {record['version']}, this KDSL reads version {VERSION}; {again}")
            if tuple(record["labels"]) != recorded.labels:
                raise KdslError(f"{path}: made for other labels than the task has now; {again}")
            counts, totals = np.array(record["counts"], dtype=float), np.array(record["totals"], dtype=float)
            if counts.shape != (len(recorded.labels),) * 2 or totals.shape != counts.shape[:1]:
                raise ValueError(f"counts of shape {counts.shape} for {len(recorded.labels)} labels")
            confusion = Confusion(counts, totals, float(record["strength"]), float(record["trust"]))
            return cls(recorded, confusion, float(record["confusion_exponent"]), float(record["probability_exponent"]))
        except (KeyError, TypeError, ValueError) as error:
            raise KdslError(f"{path}: damaged or not a calibration ({error}); {again}") from error


def _ids(table: FieldTable) -> list[str]:
    return [row.sample.id for row in table.rows]


def _logs(probabilities: list[Floats]) -> Floats:
    return np.log(np.maximum(np.array(probabilities), SMALLEST))
