"""Whether a sample belongs to any of the labels but `other`: a detector that needs no sample of what belongs to none.

Labels are held out in turn: to a classifier that never saw a label, its samples are what belongs to none. A logistic
regression learns there what tells them from samples of the labels that it did see, new to it as well. From how sure
the prediction is, how near the nearest training samples are, and what rules say for the label predicted, it gives the
odds that a sample belongs to one of the labels. Where there are samples of `other`, they are learned from too.

Holding out classes to learn to reject: Fei and Liu 2016, "Breaking the closed world assumption in text
classification"; nearness beside the classifier's confidence: Zhou et al. 2022, "KNN-contrastive learning for
out-of-domain intent classification".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.pool import Pool
from kdsl.fields.table import FieldTable
from kdsl.npz_file import floats, open_npz, write_npz
from kdsl.retrieval.sample_index import SampleIndex

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]

SCOPE_FILE = "scope.npz"
VERSION = 1

NEAREST = 3
"""Training samples whose mean similarity tells how near a sample is to what was seen."""
FEWEST_LABELS = 3
"""Beside `other`: with one held out there must be two left to tell apart."""
FEWEST_EXAMPLES = 5
"""Samples of `other`, from which on what the classifier says for it is looked at."""
MOST_LOST = 0.03
"""Share of the samples that are right and belong to a label, of all that belong to one, which may be taken for
`other`."""
CERTAINTY = 0.95
"""Of the upper bound of that share: from few samples less is given up."""
PENALTY = 1.0
"""Of the regression, on standardised features; from 0.1 to 100 the benchmark `none_of_these` says much the same."""
PSEUDO_COUNT = 20.0
"""How many samples of `other` all the held-out labels together count as."""
_LEAST = 1e-6
_BLOCK = 1024
"""Samples that are compared with all others at once."""


@dataclass(frozen=True)
class Belief:
    """What is known about n samples: [n, n_labels] but for `near`."""

    model: Floats
    """Probabilities of the model."""
    evidence: RuleEvidence
    near: Floats
    """Mean similarity to the nearest training samples that belong to a label. [n]"""

    def rows(self, chosen: Flags | NDArray[np.int64]) -> "Belief":
        """That of some of the samples."""
        return Belief(self.model[chosen], self.evidence.rows(chosen), self.near[chosen])


@dataclass(frozen=True)
class HeldOutLabels:
    """What a classifier that never saw some labels says about training samples that it did not see."""

    rows: NDArray[np.int64]
    """[n] of the training samples."""
    outside: Flags
    """Whether the classifier does not know the sample's label. [n]"""
    seen: Flags
    """The labels it knows. [n_labels]"""
    model: Floats
    """[n, n_labels], 0 for labels that it does not know."""


@dataclass(frozen=True)
class Scope:
    """The detector: log odds that a sample belongs to a label = `features` @ `weights` + `intercept`.

    With it p(other) ∝ e^`shift` · p(belongs to none) · e^(evidence of the rules for it), and the other labels share
    the rest as the pool has them.
    """

    other: int
    """The index of the label."""
    index: SampleIndex
    """The training samples that belong to a label."""
    weights: Floats
    """[n_features]"""
    intercept: float
    shift: float

    def near(self, table: FieldTable) -> Floats:
        """`Belief.near` of the samples of a table."""
        return _mean_of_nearest(self.index.nearest(table.cleaned(), NEAREST).similarities)

    def merged(self, pool: Pool, belief: Belief) -> Floats:
        """Probabilities of all labels, `other` with what the detector gives it: [n, n_labels]."""
        from scipy.special import log_softmax, softmax

        scores = _log_belonging(pool, belief, self.other)
        odds = _features(pool, belief, self.other, len(self.weights)) @ self.weights + self.intercept
        belongs = np.stack([odds, np.zeros(len(odds))], axis=1)
        inside, outside = log_softmax(belongs, axis=1).T
        scores = scores + inside[:, None]
        scores[:, self.other] = outside + self.shift + _heard(pool, belief.evidence)[:, self.other]
        result: Floats = softmax(scores, axis=1)
        return result

    def save(self, folder: Path) -> None:
        """Write `scope.npz`; KdslError when it cannot be written."""
        header = {"other": self.other, "intercept": self.intercept, "shift": self.shift, **self.index.record()}
        write_npz(folder / SCOPE_FILE, VERSION, header, {"weights_of_scope": self.weights, **self.index.arrays()})

    @classmethod
    def load(cls, folder: Path, n_labels: int) -> "Scope":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        with open_npz(folder / SCOPE_FILE, VERSION, "what tells samples that belong to no label") as (header, arrays):
            weights = floats(arrays, "weights_of_scope", 1)
            numbers = float(header["intercept"]), float(header["shift"])
            found = cls(int(header["other"]), SampleIndex.of_record(header, arrays), weights, *numbers)
            if not 0 <= found.other < n_labels or len(weights) not in (3, 4) or not np.isfinite(numbers).all():
                raise ValueError(f"label {found.other} of {n_labels}, {len(weights)} weights, {numbers}")
        return found


def fit_scope(
    table: FieldTable,
    labels: Labels,
    other: int,
    pool: Pool,
    model: Floats,
    evidence: RuleEvidence,
    rounds: Sequence[HeldOutLabels],
) -> tuple[Scope, Floats] | None:
    """The detector of samples that belong to `other`, the index of a label which none of the samples need have.

    With it what it makes of the probabilities of all samples, out of fold. None where there is nothing to learn it
    from: neither `rounds` nor `FEWEST_EXAMPLES` samples of `other`.

    `model` [n_samples, n_labels] and `evidence` are out of fold. `rounds` hold out every label but `other` once, as
    `kdsl.project.held_out_labels` does. The threshold is the one that takes most for `other`, where of the samples
    that belong to a label at most `MOST_LOST` are lost that would be right, with `CERTAINTY`: nothing is set by hand.
    """
    belonging, examples = np.flatnonzero(labels != other), np.flatnonzero(labels == other)
    if not len(belonging) or (not rounds and len(examples) < FEWEST_EXAMPLES):
        return None
    index = SampleIndex.fit(table.cleaned().select(belonging))
    own = np.full(len(table), -1)
    own[belonging] = np.arange(len(belonging))
    nearness = _Nearness(index, index.unit_vectors(table.cleaned()), own)
    n_features = 4 if len(examples) >= FEWEST_EXAMPLES else 3
    found, outside, weights = [], [], []
    for each in rounds:
        near = nearness.of(each.rows, each.seen[labels[belonging]])
        belief = Belief(each.model, _of_labels(evidence.rows(each.rows), each.seen), near)
        found.append(_features(pool, belief, other, n_features, each.seen))
        outside.append(each.outside)
    everything = np.arange(len(table)), np.ones(len(belonging), dtype=bool)
    whole = Belief(model, evidence, nearness.of(*everything))
    if not rounds:
        found.append(_features(pool, whole.rows(belonging), other, n_features))
        outside.append(np.zeros(len(belonging), dtype=bool))
    n_held_out = sum(int(each.sum()) for each in outside)
    weights = [np.where(each, PSEUDO_COUNT / max(n_held_out, 1), 1.0) for each in outside]
    if len(examples):
        found.append(_features(pool, whole.rows(examples), other, n_features))
        outside.append(np.ones(len(examples), dtype=bool))
        weights.append(np.ones(len(examples)))
    coefficients, intercept = _regression(np.concatenate(found), np.concatenate(outside), np.concatenate(weights))
    fitted = Scope(other, index, coefficients, intercept, 0.0)
    shift = _shift(fitted, pool, whole.rows(belonging), labels[belonging])
    scope = replace(fitted, shift=shift)
    return scope, scope.merged(pool, whole)


def _shift(fitted: Scope, pool: Pool, belief: Belief, labels: Labels) -> float:
    """`Scope.shift` by samples that belong to one of the `labels` [n]."""
    said = fitted.merged(pool, belief)
    for_other = np.log(np.maximum(said[:, fitted.other], _LEAST))
    said[:, fitted.other] = 0.0
    right = said.argmax(axis=1) == labels
    margins = np.sort((np.log(np.maximum(said.max(axis=1), _LEAST)) - for_other)[right])
    lost = _most_lost(len(labels))
    if lost < len(margins):
        # At the margin itself the label is as likely as `other`, and the sample not lost.
        return float(min(margins[lost] - _LEAST, 0.0))
    return 0.0


def _most_lost(n_samples: int) -> int:
    """The largest number of `n_samples` whose share is below `MOST_LOST` on new samples, with `CERTAINTY`.

    The bound is that of Clopper and Pearson; 0 where even none lost tells too little.
    """
    from scipy.stats import beta

    lost = 0
    while lost + 1 < n_samples and beta.ppf(CERTAINTY, lost + 2, n_samples - lost - 1) <= MOST_LOST:
        lost += 1
    return lost


def _features(pool: Pool, belief: Belief, other: int, n_features: int, seen: Flags | None = None) -> Floats:
    """[n, 3]: log odds of the likeliest label but `other`, nearness, and what the rules that count say for that label.

    The fourth, where it is asked for: the log odds that the model gives to `other`.
    """
    logs = _log_belonging(pool, belief, other, seen)
    best = logs.argmax(axis=1)
    top = np.clip(np.exp(logs.max(axis=1)), _LEAST, 1 - _LEAST)
    spoken = _heard(pool, belief.evidence)[np.arange(len(best)), best]
    found = [np.log(top / (1 - top)), belief.near, spoken]
    if n_features > len(found):
        share = np.clip(belief.model[:, other], _LEAST, 1 - _LEAST)
        found.append(np.log(share / (1 - share)))
    return np.stack(found, axis=1)


def _log_belonging(pool: Pool, belief: Belief, other: int, seen: Flags | None = None) -> Floats:
    """Log probabilities of the labels but `other`, given that the sample belongs to one of them: [n, n_labels]."""
    from scipy.special import log_softmax

    logs = pool.log_probabilities(belief.model, belief.evidence)
    if seen is not None:
        logs[:, ~seen] = -np.inf
    logs[:, other] = -np.inf
    result: Floats = log_softmax(logs, axis=1)
    return result


def _heard(pool: Pool, evidence: RuleEvidence) -> Floats:
    """What the rules say, as far as they count in the pool: [n, n_labels]."""
    return pool.b_people * evidence.people + pool.b_mined * evidence.mined


def _of_labels(evidence: RuleEvidence, seen: Flags) -> RuleEvidence:
    """Without the rules for labels that were not seen."""
    return RuleEvidence(evidence.people * seen, evidence.mined * seen)


@dataclass(frozen=True)
class _Nearness:
    """How near training samples are to others of them."""

    index: SampleIndex
    vectors: Any
    """Of all training samples, sparse: [n_samples, n_dimensions]"""
    own: NDArray[np.int64]
    """Where each stands in the index, -1 for one that does not. [n_samples]"""

    def of(self, rows: NDArray[np.int64], among: Flags) -> Floats:
        """`Belief.near` of some rows, to some of the samples in the index and never to themselves: [n_rows]"""
        found = np.zeros(len(rows))
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            cosines = (self.vectors[block] @ self.index.vectors.T).toarray()
            cosines[:, ~among] = -1.0
            known = np.flatnonzero(self.own[block] >= 0)
            cosines[known, self.own[block][known]] = -1.0
            found[start : start + _BLOCK] = _mean_of_nearest(-np.sort(-cosines, axis=1)[:, :NEAREST])
        return found


def _mean_of_nearest(similarities: Floats) -> Floats:
    """Of the nearest ones in each row; where there are fewer than `NEAREST`, each lacking counts as 0."""
    return np.maximum(similarities, 0.0).sum(axis=1) / NEAREST


def _regression(features: Floats, outside: Flags, weights: Floats) -> tuple[Floats, float]:
    """Weights and intercept of the log odds of not being `outside`; both sides count the same in all."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    balanced = weights.copy()
    for side in (outside, ~outside):
        balanced[side] *= len(weights) / 2 / weights[side].sum()
    model = LogisticRegression(C=1 / PENALTY).fit((features - mean) / spread, ~outside, balanced)
    coefficients = model.coef_[0] / spread
    return coefficients, float(model.intercept_[0] - mean @ coefficients)
