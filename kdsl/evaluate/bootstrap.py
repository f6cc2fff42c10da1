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
    micro_f1: Interval | None = None
    """None with one label a sample, where it is the accuracy."""


def intervals(outcome: Outcome, seed: int, n_resamples: int = N_RESAMPLES) -> Intervals:
    """Intervals of the scores of one predictor; the same seed gives the same intervals. ValueError without samples."""
    pairs, draws = resample(np.stack([outcome.truth, outcome.predicted], axis=1), seed, n_resamples)
    return Intervals(*percentiles(_scores(pairs[:, 0], pairs[:, 1], draws)))


def difference_intervals(new: Outcome, old: Outcome, seed: int, n_resamples: int = N_RESAMPLES) -> Intervals:
    """Intervals of score(new) − score(old), both on the same resamples (paired).

    ValueError when the two are not about the same samples.
    """
    if not np.array_equal(new.truth, old.truth):
        raise ValueError("a paired difference needs the same samples in the same order")
    triples, draws = resample(np.stack([new.truth, new.predicted, old.predicted], axis=1), seed, n_resamples)
    differences = _scores(triples[:, 0], triples[:, 1], draws) - _scores(triples[:, 0], triples[:, 2], draws)
    return Intervals(*percentiles(differences))


def resample(rows: NDArray[np.int64], seed: int, n_resamples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows [n_cells, k] and how often each was drawn [n_resamples, n_cells]."""
    if not len(rows):
        raise ValueError("no sample to draw from")
    cells, counts = np.unique(rows, axis=0, return_counts=True)
    return cells, np.random.default_rng(seed).multinomial(len(rows), counts / len(rows), size=n_resamples)


def _scores(truth: NDArray[np.int64], predicted: NDArray[np.int64], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """[3, n_resamples]: weighted F1, macro F1 and accuracy of cells drawn `draws` times. Defined as in `metrics`."""
    labels = np.unique(truth)
    of_truth = (truth[:, None] == labels).astype(np.float64)  # [n_cells, n_labels]
    of_predicted = (predicted[:, None] == labels).astype(np.float64)
    support = draws @ of_truth  # [n_resamples, n_labels]
    hits = draws @ (of_truth * of_predicted)
    f1 = 2 * hits / np.maximum(support + draws @ of_predicted, 1.0)
    total = support.sum(axis=1)
    occurs = support > 0
    return np.stack(
        [
            (f1 * support).sum(axis=1) / total,
            (f1 * occurs).sum(axis=1) / occurs.sum(axis=1),
            hits.sum(axis=1) / total,
        ]
    )


def percentiles(values: NDArray[np.float64]) -> list[Interval]:
    """The interval of every row of resampled values: [n_scores, n_resamples]."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
