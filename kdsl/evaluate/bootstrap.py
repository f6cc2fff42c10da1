"""Percentile bootstrap intervals of F1 and accuracy, and of the difference of two predictors on the same samples.

Drawing n samples with replacement and counting how often each (truth, prediction) pair came up is drawing from a
multinomial over the distinct pairs. There are few of those, so a thousand resamples cost a few milliseconds.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.metrics import Outcome

N_RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Percentile intervals at level `LEVEL` of three scores, or of their differences."""

    weighted_f1: Interval
    macro_f1: Interval
    accuracy: Interval


def intervals(outcome: Outcome, seed: int, n_resamples: int = N_RESAMPLES) -> Intervals:
    """Intervals of the scores of one predictor; the same seed gives the same intervals. ValueError without samples."""
    pairs, draws = _resample(np.stack([outcome.truth, outcome.predicted], axis=1), seed, n_resamples)
    return _percentiles(_scores(pairs[:, 0], pairs[:, 1], draws))


def difference_intervals(new: Outcome, old: Outcome, seed: int, n_resamples: int = N_RESAMPLES) -> Intervals:
    """Intervals of score(new) − score(old), both on the same resamples (paired).

    ValueError when the two are not about the same samples.
    """
    triples, draws = _resample_pairs(new, old, seed, n_resamples)
    return _percentiles(_scores(triples[:, 0], triples[:, 1], draws) - _scores(triples[:, 0], triples[:, 2], draws))


def label_difference_intervals(
    new: Outcome, old: Outcome, n_labels: int, seed: int, n_resamples: int = N_RESAMPLES
) -> list[Interval]:
    """[n_labels] intervals of F1(new) − F1(old) of every label, both on the same resamples (paired).

    Where a label neither occurs nor is predicted its F1 counts as 0. ValueError as of `difference_intervals`.
    """
    cells, draws = _resample_pairs(new, old, seed, n_resamples)
    labels = np.arange(n_labels)
    difference = _label_f1(cells[:, 0], cells[:, 1], draws, labels) - _label_f1(
        cells[:, 0], cells[:, 2], draws, labels
    )
    low, high = np.quantile(difference, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _resample_pairs(
    new: Outcome, old: Outcome, seed: int, n_resamples: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`_resample` of (truth, prediction of new, prediction of old)."""
    if not np.array_equal(new.truth, old.truth):
        raise ValueError("a paired difference needs the same samples in the same order")
    return _resample(np.stack([new.truth, new.predicted, old.predicted], axis=1), seed, n_resamples)


def _label_f1(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], draws: NDArray[np.int64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """[n_resamples, n_labels]: the F1 of every label in cells drawn `draws` times."""
    of_truth = (truth[:, None] == labels).astype(np.float64)  # [n_cells, n_labels]
    of_predicted = (predicted[:, None] == labels).astype(np.float64)
    return 2 * (draws @ (of_truth * of_predicted)) / np.maximum(draws @ (of_truth + of_predicted), 1.0)


def _resample(rows: NDArray[np.int64], seed: int, n_resamples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows [n_cells, k] and how often each was drawn [n_resamples, n_cells]."""
    if not len(rows):
        raise ValueError("no sample to draw from")
    cells, counts = np.unique(rows, axis=0, return_counts=True)
    return cells, np.random.default_rng(seed).multinomial(len(rows), counts / len(rows), size=n_resamples)


def _scores(truth: NDArray[np.int64], predicted: NDArray[np.int64], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """[3, n_resamples]: weighted F1, macro F1 and accuracy of cells drawn `draws` times. Defined as in `metrics`."""
    labels = np.unique(truth)
    of_truth = (truth[:, None] == labels).astype(np.float64)  # [n_cells, n_labels]
    support = draws @ of_truth  # [n_resamples, n_labels]
    f1 = _label_f1(truth, predicted, draws, labels)
    total = support.sum(axis=1)
    occurs = support > 0
    return np.stack(
        [
            (f1 * support).sum(axis=1) / total,
            (f1 * occurs).sum(axis=1) / occurs.sum(axis=1),
            draws @ (truth == predicted) / total,
        ]
    )


def _percentiles(values: NDArray[np.float64]) -> Intervals:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return Intervals(*(Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)))
