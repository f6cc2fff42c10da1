"""What a model's answers are worth, a label a sample and perhaps probabilities: calibrated on labelled samples."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import Hint, KdslError
from kdsl.files import parsing, write_atomically
from kdsl.json_file import read_json

Floats = NDArray[np.float64]

RECORDED_FILE = "recorded.json"
VERSION = 1
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Candidate weights of what is expected of an answer before its own row is looked at, in samples."""
TRUSTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Candidate shares of that expectation that stand on the answered label itself; the rest follows the class prior."""
SMALLEST = 1e-6
"""Least probability of a label, before rows are made to sum to 1."""
PRIOR_COUNT = 0.5
"""Added to the samples of every label before they become the class prior, so that no label is impossible."""
NO_ANSWER = -1


@dataclass(frozen=True)
class Answers:
    """What a model answered to n samples, in their order."""

    labels: NDArray[np.int64]
    """[n]: index into the task's labels, or `NO_ANSWER`."""
    probabilities: Sequence[Floats | None]
    """[n]: [n_labels], summing to 1, where the model tells them too."""

    @property
    def answered(self) -> NDArray[np.bool_]:
        """[n]"""
        return self.labels != NO_ANSWER

    def select(self, rows: NDArray[np.int64]) -> "Answers":
        return Answers(self.labels[rows], [self.probabilities[row] for row in rows])


@dataclass(frozen=True)
class Calibration:
    """log p(true) = a · log P(true | answered label) + b · log probability(true) as the model tells it, normalised.

    Where it tells none, P(true | answered label) alone.
    """

    confusion: "Confusion"
    confusion_exponent: float
    probability_exponent: float

    def probabilities(self, answers: Answers) -> Floats:
        """[n, n_labels]. Samples without an answer get the class prior."""
        n_labels = len(self.confusion.totals)
        rows = {answer: self.confusion.probabilities(answer) for answer in range(NO_ANSWER, n_labels)}
        result = np.empty((len(answers.labels), n_labels))
        for number, (answer, given) in enumerate(zip(answers.labels.tolist(), answers.probabilities, strict=True)):
            result[number] = rows[answer]
            if given is not None:
                scores = self.confusion_exponent * np.log(result[number])
                scores += self.probability_exponent * _logs([given])[0]
                result[number] = np.exp(scores - scores.max())
        result = np.maximum(result / result.sum(axis=1, keepdims=True), SMALLEST)
        return result / result.sum(axis=1, keepdims=True)

    def save(self, folder: Path, labels: tuple[str, ...]) -> None:
        """Write the calibration of answers of these labels to `recorded.json`; the answers are not in it."""
        record = {
            "version": VERSION,
            "labels": list(labels),
            "counts": self.confusion.counts.tolist(),
            "totals": self.confusion.totals.tolist(),
            "strength": self.confusion.strength,
            "trust": self.confusion.trust,
            "confusion_exponent": self.confusion_exponent,
            "probability_exponent": self.probability_exponent,
        }
        write_atomically(folder / RECORDED_FILE, json.dumps(record, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path, labels: tuple[str, ...]) -> "Calibration":
        """Raises KdslError when the file is missing, damaged, of another version or for other labels."""
        path = folder / RECORDED_FILE
        record = read_json(path, Hint.TRAIN_AGAIN)
        with parsing(path, "damaged or not a calibration", Hint.TRAIN_AGAIN):
            if record["version"] != VERSION:
                raise KdslError(
                    f"{path}: version {record['version']}, this KDSL reads version {VERSION}", Hint.TRAIN_AGAIN
                )
            if tuple(record["labels"]) != labels:
                raise KdslError(f"{path}: made for other labels than the task has now", Hint.TRAIN_AGAIN)
            counts, totals = np.array(record["counts"], dtype=float), np.array(record["totals"], dtype=float)
            if counts.shape != (len(labels),) * 2 or totals.shape != counts.shape[:1]:
                raise ValueError(f"counts of shape {counts.shape} for {len(labels)} labels")
            confusion = Confusion(counts, totals, float(record["strength"]), float(record["trust"]))
            exponents = float(record["confusion_exponent"]), float(record["probability_exponent"])
            numbers = np.concatenate([counts.ravel(), totals, [confusion.strength, *exponents]])
            if not ((numbers >= 0) & np.isfinite(numbers)).all() or not 0 <= confusion.trust <= 1:
                raise ValueError("numbers that cannot be")
            if confusion.strength == 0:
                raise ValueError("a strength of 0")
            return cls(confusion, *exponents)


def calibrate(answers: Answers, labels: NDArray[np.int64], n_labels: int) -> Calibration:
    """Learned from samples with these true `labels` [n], at least one."""
    counts = np.zeros((n_labels, n_labels))
    np.add.at(counts, (answers.labels[answers.answered], labels[answers.answered]), 1)
    totals = np.bincount(labels, minlength=n_labels).astype(np.float64)
    confusion = Confusion(counts, totals, *_smoothing(counts, totals))
    return Calibration(confusion, *_exponents(confusion, answers, labels))


def _exponents(confusion: "Confusion", answers: Answers, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Exponents of the confusion matrix and of the probabilities, by leave-one-out likelihood."""
    given = [row for row, probabilities in enumerate(answers.probabilities) if probabilities is not None]
    if not given:
        return 1.0, 0.0
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    left_out = np.log(np.array([confusion.without(answers.labels[row], labels[row]) for row in given]))
    told = _logs([found for found in answers.probabilities if found is not None])
    truth = np.arange(len(given)), labels[given]

    def loss(exponents: Floats) -> float:
        scores = exponents[0] * left_out + exponents[1] * told
        return float(-log_softmax(scores, axis=1)[truth].mean() + 1e-3 * ((exponents - (1.0, 0.0)) ** 2).sum())

    best = minimize(loss, np.array([1.0, 0.0]), bounds=((0.0, 10.0), (0.0, 10.0)), method="L-BFGS-B").x
    return float(best[0]), float(best[1])


@dataclass(frozen=True)
class Confusion:
    """How often each label was the true one where a label was answered, smoothed.

    P(true | answer) = (counts[answer, true] + strength · expected[answer, true]) / (Σ counts[answer] + strength) with
    expected[answer] = trust · [true = answer] + (1 - trust) · prior; without an answer, the prior alone.
    """

    counts: Floats  # [n_labels, n_labels], row = answered label, column = true label
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


def _logs(probabilities: Sequence[Floats]) -> Floats:
    return np.log(np.maximum(np.array(probabilities), SMALLEST))
