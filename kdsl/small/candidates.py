"""Which conditions the small model is asked about: those that the samples speak for, and that can be said in words."""

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition

MOST_CANDIDATES = 24
"""Different words or questions that are asked about for each part of the samples."""


def spoken(condition: Condition) -> str | None:
    """A condition as an answer of the model: its term, its wording or its question; None for a number."""
    if condition.question is not None:
        return condition.question
    if condition.meaning is not None:
        return condition.meaning.wordings[0]
    return condition.terms[0] if condition.terms else None


def grounded(vocabulary: Vocabulary, flags: Flags, positive: Flags, part: Flags) -> list[int]:
    """Indices of the conditions that tell the positives of `part` best from its others: `MOST_CANDIDATES` at most.

    Ranked by pulled precision times the root of recall; conditions that say the same words are taken once.
    `flags` [n_conditions, n_samples] is the vocabulary's coverage, `positive` and `part` are [n_samples].
    """
    members = np.flatnonzero(part)
    inside = flags[:, members]
    right: NDArray[np.int64] = inside[:, positive[members]].sum(axis=1)
    hits = inside.sum(axis=1)
    n_positive = max(int(positive[members].sum()), 1)
    value = right / (hits + 1.0) * np.sqrt(right / n_positive)
    chosen: dict[str, int] = {}
    for index in np.argsort(-value, kind="stable").tolist():
        words = spoken(vocabulary.conditions[index])
        if value[index] <= 0 or len(chosen) == MOST_CANDIDATES:
            break
        if words is not None:
            chosen.setdefault(words, index)
    return list(chosen.values())
