"""What deciding less comes to: samples that belong to no label, and decisions that are handed to a person."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.metrics import NO_PREDICTION, Outcome, scores
from kdsl.record_file import Share

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """Scores where samples are decided in one way; all of 0..1."""

    accuracy: float
    """Of all samples; one without a label counts as wrong."""
    weighted_f1: float
    coverage: float
    """Share of the samples that are decided."""
    error: float | None
    """Share of the decided samples that are wrong; None where none is decided."""
    in_scope_accuracy: float | None
    """Accuracy on samples that belong to a label; None where there are none."""
    other_recall: float | None
    """Share of the others that are told; None where there are none."""


@dataclass(frozen=True)
class LabelCost:
    """What abstaining does to the samples of a label."""

    label: str
    samples: int
    abstained: int
    lost: int
    """Abstained on, although the likeliest label is right."""
    spared: int
    """Abstained on, the likeliest label being wrong."""
    taken_for_other: int
    """Told to belong to no label, although the likeliest of the labels is right."""


@dataclass(frozen=True)
class Selective:
    """Of model and rules together, on one task."""

    other: str | None
    always: Way
    """Every sample gets one of the labels but `other`."""
    with_other: Way
    """What belongs to none gets `other`."""
    abstaining: Way
    """And what is not sure enough gets no label: what was predicted."""
    auroc: float | None
    """Area under the ROC curve of the probability of `other`; None without samples of both kinds."""
    costs: tuple[LabelCost, ...]
    """Of the labels that occur."""

    @property
    def ways(self) -> dict[str, Way]:
        """Those that differ, by what is done."""
        found = {"a label for every sample": self.always}
        if self.other is not None:
            found["some belong to none"] = self.with_other
        if self.abstaining.coverage < 1:
            found["some handed to a person"] = self.abstaining
        return found


def selective(outcome: Outcome, labels: tuple[str, ...], other: str | None) -> Selective | None:
    """None without probabilities, and where every sample is decided and no label stands for what belongs to none."""
    if outcome.probabilities is None or not labels or (other is None and outcome.covered.all()):
        return None
    index = None if other is None else labels.index(other)
    decided = outcome.probabilities.argmax(axis=1)
    belonging = outcome.probabilities.copy()
    if index is not None:
        belonging[:, index] = -1.0
    always = belonging.argmax(axis=1)
    return Selective(
        other=other,
        always=_way(outcome, always, index),
        with_other=_way(outcome, decided, index),
        abstaining=_way(outcome, outcome.predicted, index),
        auroc=None if index is None else _auroc(outcome.probabilities[:, index], outcome.truth == index),
        costs=_costs(outcome, always, decided, labels, index),
    )


def everything_decided(outcome: Outcome) -> Outcome:
    """With the likeliest label where there is none; the same where nothing tells it."""
    if outcome.probabilities is None or outcome.covered.all():
        return outcome
    predicted = np.where(outcome.covered, outcome.predicted, outcome.probabilities.argmax(axis=1))
    return Outcome(outcome.truth, predicted, outcome.probabilities)


@dataclass(frozen=True)
class CoverageError:
    """How wrong decisions are where only the surest are made, the surest first: three lists of one length."""

    threshold: list[float]
    """The confidence, from which on samples are decided."""
    coverage: list[Share]
    error: list[Share]


def coverage_error(outcome: Outcome) -> CoverageError:
    """A point for each confidence that occurs; ValueError without probabilities.

    Source: El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification".
    """
    if outcome.probabilities is None:
        raise ValueError("the outcome has no probabilities")
    confidence = outcome.probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum((outcome.probabilities.argmax(axis=1) != outcome.truth)[order])
    counts = np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) < 0, True)
    return CoverageError(
        confidence[order][last].tolist(), (counts / len(order))[last].tolist(), (wrong / counts)[last].tolist()
    )


def _way(outcome: Outcome, predicted: NDArray[np.int64], other: int | None) -> Way:
    found = Outcome(outcome.truth, predicted)
    strange = found.truth == (NO_PREDICTION if other is None else other)
    told = scores(found)
    return Way(
        accuracy=told.accuracy,
        weighted_f1=told.weighted_f1,
        coverage=told.coverage,
        error=None if told.covered_precision is None else 1 - told.covered_precision,
        in_scope_accuracy=_mean(found.correct[~strange]),
        other_recall=_mean(found.correct[strange]),
    )


def _mean(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _auroc(probability: Floats, strange: NDArray[np.bool_]) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(strange, probability)) if strange.any() and not strange.all() else None


def _costs(
    outcome: Outcome,
    always: NDArray[np.int64],
    decided: NDArray[np.int64],
    labels: tuple[str, ...],
    other: int | None,
) -> tuple[LabelCost, ...]:
    abstained, right = ~outcome.covered, decided == outcome.truth
    taken = ~abstained & (decided == other) & (always == outcome.truth)
    rows = []
    for label in np.unique(outcome.truth).tolist():
        of = outcome.truth == label
        counts = (of, of & abstained, of & abstained & right, of & abstained & ~right, of & taken)
        rows.append(LabelCost(labels[label], *(int(each.sum()) for each in counts)))
    return tuple(rows)
