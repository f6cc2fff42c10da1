"""The arbiter of a task with several labels a sample: one pool of log odds, one threshold a label.

Each label is decided by itself, as the two-class case of the log-linear pool:

    log odds p(label) = a · log odds p_model(label) + b_people · people(label) + b_mined · mined(label)

`a` and both `b` are those of the task, fitted on all pairs of a sample and a label: few samples have any one label.
A label holds where its probability reaches its threshold.
"""

import numpy as np

from kdsl.arbiter.choice import Judged, Quality
from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.pool import Pool
from kdsl.label_matrix import Flags, Labels

CANDIDATES = np.arange(1, 96) / 100
"""Probabilities at which a label might be said to hold, for the F1 that is to be expected."""
BORROWED = 10.0
"""How many samples with the average label each label is taken to have beside its own when its threshold is chosen; our
choice: of a label with a handful of samples all labels together tell, of one with dozens its own."""
_SMALLEST = 1e-9


def pairs(model: Floats, evidence: RuleEvidence, labels: Labels) -> tuple[Floats, RuleEvidence, Labels]:
    """Every sample and label as one two-class sample, "does not hold" and "holds": [n_samples · n_labels, 2] of the
    probabilities and the evidence [n_samples, n_labels], and 0 or 1 [n_samples · n_labels] of the labels."""
    return (
        _two_columns(1 - model, model),
        RuleEvidence(*(_two_columns(np.zeros_like(part), part) for part in evidence)),
        labels.ravel(),
    )


def _two_columns(first: Floats, second: Floats) -> Floats:
    return np.stack([first.ravel(), second.ravel()], axis=1)


def pooled(pool: Pool, model: Floats, evidence: RuleEvidence) -> Floats:
    """The probability that each label holds, each by itself: [n_samples, n_labels], as the model's are."""
    unknown = np.zeros(model.shape, dtype=np.int64)
    both, said, _ = pairs(model, evidence, unknown)
    return pool.probabilities(both, said)[:, 1].reshape(model.shape)


def held_out(judged: Judged, n_labels: int) -> Floats:
    """What a pool judged on `pairs` says of every sample when fitted without it: [n_samples, n_labels]."""
    return np.exp(judged.log_probabilities[:, 1]).reshape(-1, n_labels)


def fit_thresholds(probabilities: Floats) -> Floats:
    """The threshold of every label, [n_labels], from probabilities out of fold [n_samples, n_labels].

    Where probabilities are calibrated, the threshold with the largest F1 is half of that F1 (Lipton, Elkan and
    Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure"). The F1 is what the probabilities
    lead to expect at the best of `CANDIDATES`, `BORROWED` samples of the average label counted in. The largest F1
    varies much less from sample to sample than the place where it was found.
    """
    said = probabilities[:, :, None] >= CANDIDATES  # [n_samples, n_labels, n_candidates]
    hits = (said * probabilities[:, :, None]).sum(axis=0)
    claims = said.sum(axis=0).astype(np.float64)
    holding = probabilities.sum(axis=0)
    share = BORROWED / float(holding.sum())
    hits, claims = hits + share * hits.sum(axis=0), claims + share * claims.sum(axis=0)
    f1 = 2 * hits / (holding[:, None] + BORROWED + claims)
    return np.round(f1.max(axis=1) / 2, 4)


def decided(probabilities: Floats, thresholds: Floats) -> Flags:
    """Which labels hold: [n_samples, n_labels]."""
    return probabilities >= thresholds


def quality(probabilities: Floats, truth: Flags) -> Quality:
    """How good probabilities out of fold are, with the thresholds that are chosen by them.

    The log loss is that of a sample: the sum over its labels. Weighted F1 is that of every label by its share.
    """
    from sklearn.metrics import f1_score

    right = np.where(truth, probabilities, 1 - probabilities)
    said = decided(probabilities, fit_thresholds(probabilities))
    return Quality(
        log_loss=float(-np.log(np.maximum(right, _SMALLEST)).sum(axis=1).mean()),
        weighted_f1=float(f1_score(truth, said, average="weighted", zero_division=0.0)),
    )
