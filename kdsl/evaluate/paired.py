"""Scores of two predictors on the same samples, with paired bootstrap intervals of their differences.

Samples may have several labels: each label is one yes or no. F1 of a label is 2 TP / (samples that have it + samples
that were given it), micro F1 the same of all labels counted together, and a sample is right where it was given just
the labels that it has. With one label a sample these are the scores of `metrics`. As there, means run over the labels
that occur in the truth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.bootstrap import N_RESAMPLES, Interval, percentiles, resample

Flags = NDArray[np.bool_]
"""[n_samples, n_labels]: whether a sample has, or was given, a label."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """A score of both, and new − old with its interval."""

    old: float
    new: float
    interval: Interval

    @property
    def difference(self) -> float:
        return self.new - self.old


@dataclass(frozen=True)
class PairedScores:
    accuracy: Gain
    weighted_f1: Gain
    macro_f1: Gain
    micro_f1: Gain
    label_f1: tuple[Gain, ...]
    """[n_labels]; of a label that neither occurs nor was given the F1 counts as 0."""


def paired_scores(truth: Flags, new: Flags, old: Flags, seed: int, n_resamples: int = N_RESAMPLES) -> PairedScores:
    """Both are scored on the same resamples; the same seed gives the same intervals. ValueError without samples."""
    width = truth.shape[1]
    # Bytes of bits, as sorting rows is what takes the time.
    packed = np.hstack([np.packbits(each, axis=1) for each in (truth, new, old)]).astype(np.int64)
    cells, draws = resample(packed, seed, n_resamples)
    each = cells.shape[1] // 3
    sides = [
        np.unpackbits(cells[:, i * each : (i + 1) * each].astype(np.uint8), axis=1)[:, :width] == 1 for i in range(3)
    ]
    intervals = percentiles(flag_scores(sides[0], sides[1], draws) - flag_scores(sides[0], sides[2], draws))
    once = np.ones((1, len(truth)), dtype=np.int64)
    before, after = (flag_scores(truth, predicted, once)[:, 0].tolist() for predicted in (old, new))
    gains = [Gain(*scores) for scores in zip(before, after, intervals, strict=True)]
    accuracy, weighted, macro, micro, *by_label = gains
    return PairedScores(accuracy, weighted, macro, micro, tuple(by_label))


def flag_scores(truth: Flags, predicted: Flags, draws: NDArray[np.int64]) -> Floats:
    """Accuracy, weighted, macro and micro F1, and the F1 of every label, of samples drawn `draws` times.

    [4 + n_labels, n_resamples] of draws [n_resamples, n_samples].
    """
    support = draws @ truth.astype(np.float64)  # [n_resamples, n_labels]
    hits = draws @ (truth & predicted).astype(np.float64)
    claims = draws @ predicted.astype(np.float64)
    f1 = 2 * hits / np.maximum(support + claims, 1.0)
    occurs = support > 0
    return np.vstack(
        [
            (draws @ (truth == predicted).all(axis=1)) / draws.sum(axis=1),
            (f1 * support).sum(axis=1) / np.maximum(support.sum(axis=1), 1.0),
            (f1 * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1),
            2 * hits.sum(axis=1) / np.maximum(support.sum(axis=1) + claims.sum(axis=1), 1.0),
            f1.T,
        ]
    )
