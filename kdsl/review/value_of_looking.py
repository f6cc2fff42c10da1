"""How many samples would be decided better if somebody looked at a rule; the queue begins with the most."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, count
from kdsl.review.store import StoredRule
from kdsl.rules.statistics import RuleStatistics

Counts = NDArray[np.int64]

THRESHOLD = 0.5
"""A rule that is right more often than this is worth having."""


def new_hits(rules: Sequence[StoredRule], bits: Bitmap, labels: NDArray[np.int64]) -> Counts:
    """Each rule's hits that no accepted rule for its label has: a twin of what is accepted can wait.

    `bits` [n_rules, n_words] are the samples that each of `rules` hits, `labels` [n_rules] those it speaks for.
    """
    settled = np.zeros((labels.max(initial=-1) + 2, bits.shape[1]), dtype=np.uint64)  # -1 is the last row
    for i, stored in enumerate(rules):
        if stored.approved:
            settled[labels[i]] |= bits[i]
    return count(bits & ~settled[labels])


def value_of_looking(
    rules: Sequence[StoredRule],
    statistics: Sequence[RuleStatistics | None],
    hits: Counts,
    correct: Counts,
    new: Counts,
) -> NDArray[np.float64]:
    """The value of perfect information about each rule's precision (Raiffa and Schlaifer 1961), times its new hits.

    The precision has a Beta distribution: with held-out counts where there are some, around the reliability or else
    the shrunk training precision with the weight of four samples. Without a look one does what is best on average:
    keep a rule whose mean is above `THRESHOLD`, drop it otherwise; what looking is worth is the expected regret of
    that. A rule that somebody decided about as it stands is worth 0.
    """
    from scipy.special import betainc

    mean, weight = np.empty(len(rules)), np.full(len(rules), 4.0)
    right, tried = np.zeros(len(rules)), np.zeros(len(rules))
    for i, entry in enumerate(statistics):
        known = None if entry is None else entry.reliability
        mean[i] = (correct[i] + 1) / (hits[i] + 2) if known is None else known
        if entry is not None and entry.held_out is not None:
            right[i], tried[i] = entry.held_out.correct, entry.held_out.hits
    a = np.clip(mean, 0.01, 0.99) * weight + right
    b = (1 - np.clip(mean, 0.01, 0.99)) * weight + tried - right
    average = a / (a + b)
    below = THRESHOLD * betainc(a, b, THRESHOLD) - average * betainc(a + 1, b, THRESHOLD)
    above = below + average - THRESHOLD
    open_ = np.array([stored.rule.status == "proposed" or stored.stale for stored in rules], dtype=bool)
    return np.where(open_, new * np.minimum(below, above), 0.0)
