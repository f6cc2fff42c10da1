"""Scores where a sample may have several labels: each label is one yes or no, and pairs of both are what is counted.

Micro F1 counts the pairs of all labels together, macro F1 is the mean over labels, weighted F1 the same by the label's
share of the truth. As in `metrics`, means run over the labels that occur in the truth. Accuracy is strict: all labels
of a sample are right and none is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.bootstrap import N_RESAMPLES, Intervals, percentiles, resample
from kdsl.evaluate.metrics import LabelScores, Outcome, Scores

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Draws = NDArray[np.int64]
_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class MultiOutcome:
    """Which labels n samples truly have and which they were given. ValueError when shapes disagree."""

    truth: Flags
    """[n, n_labels]"""
    predicted: Flags
    """[n, n_labels]; a row without any is a prediction too: no label holds."""
    probabilities: Floats | None = None
    """[n, n_labels], of each label by itself; None when the predictor gives none."""

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.truth, self.predicted, self.probabilities) if each is not None}
        if self.truth.ndim != 2 or len(shapes) > 1:
            raise ValueError(f"truth, predictions and probabilities of shapes {shapes} must all be [n, n_labels]")

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def pairs(self) -> Outcome | None:
        """Every sample and label as a claim that the label holds, with its probability; None without probabilities."""
        if self.probabilities is None:
            return None
        held = self.truth.ravel().astype(np.int64)
        return Outcome(held, np.ones_like(held), confidence=self.probabilities.ravel())

    @classmethod
    def of_one_label(cls, outcome: Outcome, n_labels: int) -> "MultiOutcome":
        """The same of a task with one label a sample; an abstention gives none."""
        names = np.arange(n_labels)
        truth, predicted = outcome.truth[:, None] == names, outcome.predicted[:, None] == names
        return cls(truth, predicted, outcome.probabilities)


def multi_label_scores(outcome: MultiOutcome) -> Scores:
    """The scores of one predictor. ValueError when there is no sample."""
    if not len(outcome):
        raise ValueError("no sample to score")
    hits, support, claims = _counts(outcome.truth, outcome.predicted, np.ones((1, len(outcome)), dtype=np.int64))
    precision = (hits / np.maximum(claims, 1))[0]
    recall = (hits / np.maximum(support, 1))[0]
    occurs, share = support[0] > 0, support[0] / max(float(support.sum()), 1.0)
    micro, weighted, macro, exact = _means(
        outcome.truth, outcome.predicted, np.ones((1, len(outcome)), dtype=np.int64)
    )[:, 0].tolist()

    def mean(values: Floats) -> float:
        return float(values[occurs].mean()) if occurs.any() else 0.0

    return Scores(
        weighted_f1=weighted,
        weighted_precision=float((precision * share).sum()),
        macro_f1=macro,
        macro_precision=mean(precision),
        macro_recall=mean(recall),
        accuracy=exact,
        coverage=float(outcome.predicted.any(axis=1).mean()),
        covered_precision=float(hits.sum() / claims.sum()) if claims.any() else None,
        micro_f1=micro,
    )


def multi_label_label_scores(outcome: MultiOutcome) -> list[LabelScores]:
    """The scores of every label, in the order of the labels."""
    rows = []
    counts = (
        each[0] for each in _counts(outcome.truth, outcome.predicted, np.ones((1, len(outcome)), dtype=np.int64))
    )
    for hits, support, claims in zip(*counts, strict=True):
        rows.append(
            LabelScores(
                support=int(support),
                predicted=int(claims),
                precision=float(hits / claims) if claims else None,
                recall=float(hits / support) if support else None,
                f1=float(2 * hits / (support + claims)) if support + claims else None,
            )
        )
    return rows


def multi_label_intervals(outcome: MultiOutcome, seed: int, n_resamples: int = N_RESAMPLES) -> Intervals:
    """Intervals of the scores, by resampled samples; the same seed gives the same. ValueError without samples."""
    width = outcome.truth.shape[1]
    cells, draws = resample(np.hstack([outcome.truth, outcome.predicted]).astype(np.int64), seed, n_resamples)
    return _intervals(_means(cells[:, :width] == 1, cells[:, width:] == 1, draws))


def multi_label_difference(
    new: MultiOutcome, old: MultiOutcome, seed: int, n_resamples: int = N_RESAMPLES
) -> Intervals:
    """Intervals of score(new) − score(old) on the same resamples; ValueError when these are other samples."""
    if not np.array_equal(new.truth, old.truth):
        raise ValueError("a paired difference needs the same samples in the same order")
    rows = np.hstack([new.truth, new.predicted, old.predicted]).astype(np.int64)
    cells, draws = resample(rows, seed, n_resamples)
    truth, first, second = (part == 1 for part in np.split(cells, 3, axis=1))
    return _intervals(_means(truth, first, draws) - _means(truth, second, draws))


def multi_label_brier_score(outcome: MultiOutcome) -> float | None:
    """Mean over samples of the squared distance of the probabilities from the truth; None without probabilities."""
    if outcome.probabilities is None or not len(outcome):
        return None
    return float(((outcome.probabilities - outcome.truth) ** 2).sum(axis=1).mean())


def pool_outcomes(outcomes: Sequence[MultiOutcome]) -> MultiOutcome:
    """One outcome over several tasks: labels of different tasks are different labels, and no sample has another's."""
    probabilities = [each.probabilities for each in outcomes if each.probabilities is not None]
    return MultiOutcome(
        _blocks([each.truth for each in outcomes]),
        _blocks([each.predicted for each in outcomes]),
        _blocks(probabilities) if len(probabilities) == len(outcomes) else None,
    )


def _blocks(parts: Sequence[NDArray[_Value]]) -> NDArray[_Value]:
    """The parts along the diagonal, zeros elsewhere."""
    heights, widths = zip(*(part.shape for part in parts), strict=True)
    whole = np.zeros((sum(heights), sum(widths)), dtype=parts[0].dtype)
    row = column = 0
    for part in parts:
        whole[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return whole


def _counts(truth: Flags, predicted: Flags, draws: Draws) -> tuple[Floats, Floats, Floats]:
    """Hits, true and claimed labels of samples drawn `draws` [n_resamples, n] times: all [n_resamples, n_labels]."""
    held, said = truth.astype(np.float64), predicted.astype(np.float64)
    return draws @ (held * said), draws @ held, draws @ said


def _means(truth: Flags, predicted: Flags, draws: Draws) -> Floats:
    """[4, n_resamples]: micro, weighted and macro F1, and accuracy."""
    hits, support, claims = _counts(truth, predicted, draws)
    f1 = 2 * hits / np.maximum(support + claims, 1.0)
    total, occurs = support.sum(axis=1), support > 0
    exact = (truth == predicted).all(axis=1).astype(np.float64)
    return np.stack(
        [
            2 * hits.sum(axis=1) / np.maximum(total + claims.sum(axis=1), 1.0),
            (f1 * support).sum(axis=1) / np.maximum(total, 1.0),
            (f1 * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1),
            draws @ exact / draws.sum(axis=1),
        ]
    )


def _intervals(means: Floats) -> Intervals:
    micro, weighted, macro, accuracy = percentiles(means)
    return Intervals(weighted, macro, accuracy, micro)
