"""Which fields say something about the labels of a task, estimated before any search."""

import numpy as np
from numpy.typing import NDArray

from kdsl.fields import COLOUR_FIELD
from kdsl.mining.counting import label_counts
from kdsl.mining.vocabulary import PARTS, Vocabulary
from kdsl.rules.condition import Condition

LEAST_SHARE = 0.6
"""A field counts when it keeps at least this share of the best held-out precision of a field that says much."""
_TO_PROVE = (*PARTS, COLOUR_FIELD)
_LEAST_CORRECT = 3
_LEAST_PRECISION = 0.5


def read_field(condition: Condition) -> str:
    """The field that a condition reads, and whether it is its words or its meaning."""
    return condition.field if condition.meaning is None else f"{condition.field} {condition.meaning.field}"


def informative_fields(
    vocabulary: Vocabulary, labels: NDArray[np.int64], n_labels: int, folds: NDArray[np.int64]
) -> dict[str, float]:
    """field (see `read_field`) → held-out precision of its single conditions, for the fields worth searching.

    Conditions with training precision of a half or more on k-1 folds are scored on the fold left out, all labels
    pooled. A field of a few hundred chance words (the text on a screenshot, when the question is what the customer
    asks) looks as good as any in training and falls apart here. All fields with conditions stay when none can be told
    apart; fields without such conditions stay too, as they may still help in combination, but for colours and parts of
    other fields: of these a few hundred conditions would help by chance. A field that is the only one counts as 1.
    """
    names = np.array([read_field(condition) for condition in vocabulary.conditions])
    hits = {name: 0.0 for name in dict.fromkeys(names.tolist())}
    if len(hits) < 2:  # nothing to compare it with
        return dict.fromkeys(hits, 1.0)
    counts, totals = label_counts(vocabulary.coverage, labels, n_labels, folds)
    correct = dict(hits)
    for held_out, of_fold in zip(counts, totals, strict=True):
        inside, all_inside = counts.sum(axis=0) - held_out, totals.sum(axis=0) - of_fold
        promising = (inside >= _LEAST_CORRECT) & (inside >= _LEAST_PRECISION * all_inside)
        right = np.where(promising, held_out, 0).sum(axis=0)
        all_hits = np.where(promising, of_fold, 0).sum(axis=0)
        for name in hits:
            hits[name] += float(all_hits[names == name].sum())
            correct[name] += float(right[names == name].sum())
    precision = {name: (correct[name] + 0.5) / (hits[name] + 1.0) for name in hits if hits[name] > 0}
    # A field that holds a few sure words only must not leave out one that says much more.
    much = 0.25 * max(correct.values(), default=0.0)
    best = max((precision[name] for name in precision if correct[name] >= much), default=0.0)
    unproven = {name for name in _TO_PROVE if name not in precision} if precision else set()
    return {
        name: precision.get(name, best)
        for name in hits
        if name not in unproven and precision.get(name, best) >= LEAST_SHARE * best
    }
