"""From candidate rules of one label to a list of a few: each earns its place by what it adds to those before it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags

Floats = NDArray[np.float64]

REPEAT_DISCOUNT = 0.8
"""A positive that k rules of the list hit counts 0.8^k for the next one: that a few training samples are covered does
not mean that the next ones will be, and other words for the same thing may be what those hold."""
LEAST_GAIN = 0.03
"""A rule must add at least this share of the label's samples."""
COPY = 0.6
"""Jaccard overlap of what two rules hit, above which they say the same: below the 0.7 that a person calls a copy, as
the overlap on other samples differs from that on these."""


def rule_list(
    reliability: Floats,
    hits: Sequence[Flags],
    positives: Flags,
    least: float,
    most: int,
    words: Sequence[frozenset[int]] = (),
) -> list[tuple[int, tuple[int, ...]]]:
    """Indices of at most `most` rules of one label in the order they were chosen, each with its near copies.

    Greedy, as for a decision list (Rivest 1987) with overlapping rules: each time the rule with the largest gain,

        (reliability − least) / (1 − least) · Σ 0.8^k

    over the positives that it hits, each hit by k rules of the list. A rule of the `least` reliability gains nothing.
    `reliability` is [n_rules], `hits[i]` and `positives` are [n_samples]. Near copies of a chosen rule are out of the
    race; they are ordered by reliability. Two rules are such that hit nearly the same samples, and two that are one
    list of words each with a word in common: these are `words[i]`, empty for other rules.

    >>> hits = [np.array([1, 1, 1, 0], bool), np.array([1, 1, 0, 0], bool), np.array([0, 0, 0, 1], bool)]
    >>> rule_list(np.array([0.9, 0.8, 0.8]), hits, np.ones(4, dtype=bool), least=0.6, most=8)
    [(0, (1,)), (2, ())]
    """
    left = [rule for rule in range(len(hits)) if reliability[rule] >= least]
    sure = (reliability - least) / (1 - least)
    worth = np.ones(len(positives))
    chosen: list[tuple[int, tuple[int, ...]]] = []
    while left and len(chosen) < most:
        gains = [sure[rule] * float(worth[hits[rule] & positives].sum()) for rule in left]
        best = int(np.argmax(np.round(gains, 12)))  # of equal gains the first, however they were rounded
        if gains[best] < max(LEAST_GAIN * int(positives.sum()), 1e-9):
            break
        rule = left.pop(best)
        copies = [
            other
            for other in left
            if _jaccard(hits[rule], hits[other]) > COPY or (words and words[rule] & words[other])
        ]
        chosen.append((rule, tuple(sorted(copies, key=lambda copy: -reliability[copy]))))
        left = [other for other in left if other not in copies]
        worth[hits[rule] & positives] *= REPEAT_DISCOUNT
    return chosen


def _jaccard(one: Flags, other: Flags) -> float:
    return int((one & other).sum()) / max(int((one | other).sum()), 1)
