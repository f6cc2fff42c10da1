"""The arbiter of a task with several labels a sample: one pool of log odds, one threshold a label.

Each label is decided by itself, as the two-class case of the log-linear pool:

    log odds p(label) = a · log odds p_model(label) + b_people · people(label) + b_mined · mined(label)

`a` and both `b` are those of the task, fitted on all pairs of a sample and a label: few samples have any one label.
A label holds where its probability reaches its threshold.
"""

import numpy as np

from kdsl.arbiter.choice import PARTS, Judged, Quality
from kdsl.arbiter.evidence import Floats, RuleEvidence
from kdsl.arbiter.pool import Pool
from kdsl.data.splits import stratified_folds
from kdsl.label_matrix import Flags, Labels

CANDIDATES = np.arange(5, 96) / 100
"""Thresholds that are tried."""
BORROWED = 10.0
"""How many positives of the average label each label is taken to have beside its own when its threshold is chosen; our
choice: with a handful of positives the best threshold of all labels together decides, with some dozens the label's."""
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


def fit_thresholds(probabilities: Floats, truth: Flags) -> Floats:
    """The threshold of every label, [n_labels], from probabilities out of fold and truth: both [n_samples, n_labels].

    It is the one of `CANDIDATES` with the largest F1 of the label, of equals the one nearest to a half. F1 counts
    `BORROWED` positives of the average label beside the label's own, so that a few samples do not decide alone; a
    label without any gets the threshold that is best for all together.
    """
    said = probabilities[:, :, None] >= CANDIDATES  # [n_samples, n_labels, n_candidates]
    hits, claims = (said & truth[:, :, None]).sum(axis=0), said.sum(axis=0)
    positives = truth.sum(axis=0)
    share = BORROWED / max(float(positives.sum()), 1.0)
    hits, claims = hits + share * hits.sum(axis=0), claims + share * claims.sum(axis=0)
    f1 = 2 * hits / (positives[:, None] + BORROWED + claims)
    order = np.argsort(np.abs(CANDIDATES - 0.5), kind="stable")
    return CANDIDATES[order[f1[:, order].argmax(axis=1)]]


def decided(probabilities: Floats, thresholds: Floats) -> Flags:
    """Which labels hold: [n_samples, n_labels]."""
    return probabilities >= thresholds


def quality(probabilities: Floats, truth: Flags, seed: int) -> Quality:
    """How good probabilities out of fold are, with thresholds that are chosen without the samples they decide on.

    The log loss is that of a sample: the sum over its labels. Weighted F1 is that of every label by its share.
    """
    from sklearn.metrics import f1_score

    parts = stratified_folds(truth.astype(np.int64), min(PARTS, len(truth)), seed)
    said = np.zeros_like(truth)
    for part in np.unique(parts):
        inside = parts == part
        said[inside] = decided(probabilities[inside], fit_thresholds(probabilities[~inside], truth[~inside]))
    right = np.where(truth, probabilities, 1 - probabilities)
    return Quality(
        log_loss=float(-np.log(np.maximum(right, _SMALLEST)).sum(axis=1).mean()),
        weighted_f1=float(f1_score(truth, said, average="weighted", zero_division=0.0)),
    )
