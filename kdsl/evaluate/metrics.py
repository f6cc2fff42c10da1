"""What one predictor did on one task, and its scores: F1, precision, recall, accuracy, coverage.

An abstention (`NO_PREDICTION`) is a miss of the true label and a false alarm of none: it lowers recall, F1 and
accuracy, not precision. Averages run over the labels that occur in the truth; a label that is never predicted counts
there with precision 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_PREDICTION = -1


@dataclass(frozen=True)
class Outcome:
    """True and predicted labels of n samples, as indices into one list of labels. ValueError when shapes disagree."""

    truth: NDArray[np.int64]
    """[n] index of the true label."""
    predicted: NDArray[np.int64]
    """[n] index of the predicted label, `NO_PREDICTION` for an abstention."""
    probabilities: NDArray[np.float64] | None = None
    """[n, n_labels], rows sum to 1; None when the predictor gives none."""
    confidence: NDArray[np.float64] | None = None
    """[n] probability of the predicted label; follows from `probabilities` where those are given."""

    def __post_init__(self) -> None:
        if self.truth.ndim != 1 or self.truth.shape != self.predicted.shape:
            raise ValueError(f"truth {self.truth.shape} and predicted {self.predicted.shape} must both be [n]")
        if len(self.truth) and (self.truth.min() < 0 or self.predicted.min() < NO_PREDICTION):
            raise ValueError("labels are indices from 0; only a prediction may be -1, no prediction")
        if self.probabilities is not None:
            if self.probabilities.ndim != 2 or len(self.probabilities) != len(self.truth):
                raise ValueError(f"probabilities {self.probabilities.shape} must be [{len(self.truth)}, n_labels]")
            chosen = np.maximum(self.predicted, 0)
            object.__setattr__(self, "confidence", self.probabilities[np.arange(len(self.truth)), chosen])
        if self.confidence is not None and self.confidence.shape != self.truth.shape:
            raise ValueError(f"confidence {self.confidence.shape} must be [{len(self.truth)}]")

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """[n] whether there is a prediction."""
        return self.predicted != NO_PREDICTION

    @property
    def correct(self) -> NDArray[np.bool_]:
        """[n] whether the prediction is the true label."""
        return self.predicted == self.truth


@dataclass(frozen=True)
class Scores:
    """All in 0..1. `weighted_recall` is not among them: it is `accuracy`."""

    weighted_f1: float
    """F1 of every label, averaged by the label's share of the truth (scikit-learn's average="weighted")."""
    weighted_precision: float
    macro_f1: float
    """F1 of every label, averaged with equal weight."""
    macro_precision: float
    macro_recall: float
    accuracy: float
    coverage: float
    """Share of the samples that have a prediction."""
    covered_precision: float | None
    """Share of the predictions that are right; None when there is no prediction."""
    micro_f1: float | None = None
    """F1 of all labels counted together, where a sample may have several (`kdsl.evaluate.multi_label`); None with one
    label a sample, where it is the accuracy."""


@dataclass(frozen=True)
class LabelScores:
    """One label, one against the rest."""

    support: int
    """Samples that truly have the label."""
    predicted: int
    """Samples that were given the label."""
    precision: float | None
    """None when the label was never predicted."""
    recall: float | None
    """None when no sample has the label."""
    f1: float | None
    """None when the label neither occurs nor was predicted."""


def scores(outcome: Outcome) -> Scores:
    """The scores of one predictor. ValueError when there is no sample."""
    from sklearn.metrics import precision_recall_fscore_support

    if not len(outcome):
        raise ValueError("no sample to score")

    def average(kind: str) -> tuple[float, float, float]:
        precision, recall, f1, _ = precision_recall_fscore_support(
            outcome.truth, outcome.predicted, labels=np.unique(outcome.truth), average=kind, zero_division=0.0
        )
        return float(precision), float(recall), float(f1)

    weighted_precision, _, weighted_f1 = average("weighted")
    macro_precision, macro_recall, macro_f1 = average("macro")
    return Scores(
        weighted_f1=weighted_f1,
        weighted_precision=weighted_precision,
        macro_f1=macro_f1,
        macro_precision=macro_precision,
        macro_recall=macro_recall,
        accuracy=float(outcome.correct.mean()),
        coverage=float(outcome.covered.mean()),
        covered_precision=float(outcome.correct[outcome.covered].mean()) if outcome.covered.any() else None,
    )


def label_scores(outcome: Outcome, n_labels: int) -> list[LabelScores]:
    """The scores of every label, in the order of the labels."""
    counts = confusion(outcome, n_labels)
    rows = []
    for label in range(n_labels):
        hits, support, predicted = int(counts[label, label]), int(counts[label].sum()), int(counts[:, label].sum())
        rows.append(
            LabelScores(
                support=support,
                predicted=predicted,
                precision=hits / predicted if predicted else None,
                recall=hits / support if support else None,
                f1=2 * hits / (support + predicted) if support + predicted else None,
            )
        )
    return rows


def confusion(outcome: Outcome, n_labels: int) -> NDArray[np.int64]:
    """[n_labels, n_labels + 1]: row = true label, column = predicted label, last column = no prediction."""
    counts = np.zeros((n_labels, n_labels + 1), dtype=np.int64)
    np.add.at(counts, (outcome.truth, outcome.predicted), 1)  # the index -1 is the last column
    return counts


def pool(outcomes: Sequence[Outcome], n_labels: Sequence[int]) -> Outcome:
    """One outcome over several tasks; labels of different tasks are different classes. `n_labels[i]` are in task i.

    Probabilities and confidences are pooled when all outcomes have them; a label of another task has probability 0.
    """
    starts = np.cumsum([0, *n_labels])
    pairs = list(zip(outcomes, starts, strict=False))
    predicted = [np.where(outcome.covered, outcome.predicted + start, NO_PREDICTION) for outcome, start in pairs]
    probabilities = None
    if all(outcome.probabilities is not None for outcome in outcomes):
        probabilities = np.zeros((sum(map(len, outcomes)), int(starts[-1])))
        row = 0
        for outcome, start in pairs:
            block = outcome.probabilities
            assert block is not None
            probabilities[row : row + len(block), start : start + block.shape[1]] = block
            row += len(block)
    confidences = [outcome.confidence for outcome in outcomes if outcome.confidence is not None]
    return Outcome(
        truth=np.concatenate([outcome.truth + start for outcome, start in pairs]),
        predicted=np.concatenate(predicted),
        probabilities=probabilities,
        confidence=np.concatenate(confidences) if len(confidences) == len(outcomes) else None,
    )
