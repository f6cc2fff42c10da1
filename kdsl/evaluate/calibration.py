"""Whether probabilities mean what they say: reliability bins, expected calibration error, Brier score."""

from dataclasses import dataclass

import numpy as np

from kdsl.evaluate.metrics import Outcome

N_BINS = 10


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in (low, high]; the first bin holds 0 too."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean confidence; the middle of the bin when it is empty."""
    accuracy: float | None
    """Share that is right; None when the bin is empty."""


def reliability_bins(outcome: Outcome, n_bins: int = N_BINS) -> list[Bin]:
    """Predictions by confidence in `n_bins` bins of equal width over 0..1; abstentions are left out.

    ValueError when the outcome has no confidences.
    """
    if outcome.confidence is None:
        raise ValueError("the outcome has neither probabilities nor confidences")
    confidence, correct = outcome.confidence[outcome.covered], outcome.correct[outcome.covered]
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    membership = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)  # [n_covered]
    bins = []
    for index in range(n_bins):
        inside = membership == index
        count = int(inside.sum())
        low, high = float(edges[index]), float(edges[index + 1])
        bins.append(
            Bin(
                low=low,
                high=high,
                count=count,
                confidence=float(confidence[inside].mean()) if count else (low + high) / 2,
                accuracy=float(correct[inside].mean()) if count else None,
            )
        )
    return bins


def expected_calibration_error(outcome: Outcome, n_bins: int = N_BINS) -> float | None:
    """Mean over predictions of |accuracy − mean confidence| of their bin (equal-width bins), 0..1; None without any.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    if outcome.confidence is None or not outcome.covered.any():
        return None
    bins = reliability_bins(outcome, n_bins)
    total = sum(bin_.count for bin_ in bins)
    return sum(bin_.count / total * abs(bin_.accuracy - bin_.confidence) for bin_ in bins if bin_.accuracy is not None)


def brier_score(outcome: Outcome) -> float | None:
    """Mean squared distance of the probabilities from the one-hot truth, 0 (perfect) to 2; None without probabilities.

    Source: Brier, Verification of forecasts expressed in terms of probability, 1950 (the sum over all classes).
    """
    if outcome.probabilities is None or not len(outcome):
        return None
    distance = outcome.probabilities.copy()
    distance[np.arange(len(outcome)), outcome.truth] -= 1.0
    return float((distance**2).sum(axis=1).mean())
