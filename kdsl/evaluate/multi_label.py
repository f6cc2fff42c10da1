"""Scores where a sample may have several labels: each label is one yes or no, and pairs of both are what is counted.

Micro F1 counts the pairs of all labels together, macro F1 is the mean over labels, weighted F1 the same by the label's
share of the truth. As in `metrics`, means run over the labels that occur in the truth. Accuracy is strict: all labels
of a sample are right and none is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.bootstrap import N_RESAMPLES, Interval, Intervals, percentiles, resample
from kdsl.evaluate.metrics import LabelScores, Outcome, Scores
from kdsl.evaluate.paired import Flags, Floats, flag_scores, paired_scores

Counts = NDArray[np.int64]


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
    hits, support, claims = _counts(outcome)
    precision, recall = hits / np.maximum(claims, 1), hits / np.maximum(support, 1)
    occurs, share = support > 0, support / max(float(support.sum()), 1.0)
    once = np.ones((1, len(outcome)), dtype=np.int64)
    exact, weighted, macro, micro = flag_scores(outcome.truth, outcome.predicted, once)[:4, 0].tolist()

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
    for hits, support, claims in zip(*_counts(outcome), strict=True):
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
    return _intervals(percentiles(flag_scores(cells[:, :width] == 1, cells[:, width:] == 1, draws)[:4]))


def multi_label_difference(
    new: MultiOutcome, old: MultiOutcome, seed: int, n_resamples: int = N_RESAMPLES
) -> Intervals:
    """Intervals of score(new) − score(old) on the same resamples; ValueError when these are other samples."""
    if not np.array_equal(new.truth, old.truth):
        raise ValueError("a paired difference needs the same samples in the same order")
    found = paired_scores(new.truth, new.predicted, old.predicted, seed, n_resamples)
    return _intervals([each.interval for each in (found.accuracy, found.weighted_f1, found.macro_f1, found.micro_f1)])


def multi_label_brier_score(outcome: MultiOutcome) -> float | None:
    """Mean over samples of the squared distance of the probabilities from the truth; None without probabilities."""
    if outcome.probabilities is None or not len(outcome):
        return None
    return float(((outcome.probabilities - outcome.truth) ** 2).sum(axis=1).mean())


def pool_outcomes(outcomes: Sequence[MultiOutcome]) -> MultiOutcome:
    """One outcome over several tasks: labels of different tasks are different labels, and no sample has another's."""
    from scipy.linalg import block_diag

    probabilities = [each.probabilities for each in outcomes if each.probabilities is not None]
    return MultiOutcome(
        block_diag(*[each.truth for each in outcomes]),
        block_diag(*[each.predicted for each in outcomes]),
        block_diag(*probabilities) if len(probabilities) == len(outcomes) else None,
    )


def _counts(outcome: MultiOutcome) -> tuple[Counts, Counts, Counts]:
    """Of every label [n_labels] the hits, the samples that have it, and those that were given it."""
    both = outcome.truth & outcome.predicted
    return both.sum(axis=0), outcome.truth.sum(axis=0), outcome.predicted.sum(axis=0)


def _intervals(scores: Sequence[Interval]) -> Intervals:
    """Of the first four of `flag_scores`."""
    accuracy, weighted, macro, micro = scores
    return Intervals(weighted, macro, accuracy, micro)
