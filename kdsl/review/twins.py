"""Rules that are near copies of another one: the queue shows them as one group, to be decided together."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from kdsl.bitmaps import Bitmap, Flags, Indices, count, indices
from kdsl.review.store import StoredRule
from kdsl.rules.implication import implies
from kdsl.rules.rule import Rule

COPY = 0.7
"""Rules for one label with a larger Jaccard overlap of their hits are near copies."""
_IMPLIED = 0.5
"""So much is enough where one rule hits only where the other does, by their conditions, whatever the samples."""


def best_of_twins(
    rules: Sequence[StoredRule], labels: Indices, bits: Bitmap, open_: Flags, best_first: Sequence[int]
) -> Indices:
    """For each rule the position of the best one that it is a near copy of, its own where it is none: [n_rules].

    Only rules that are `open_` [n_rules] have copies and are copies. `bits` [n_rules, n_words] are their hits,
    `best_first` all positions in the order of the queue.
    """
    best = np.arange(len(rules))
    rank = np.empty(len(rules), dtype=np.int64)
    rank[np.asarray(best_first, dtype=np.int64)] = np.arange(len(rules))
    for label in np.unique(labels[open_]) if open_.any() else ():
        places = np.flatnonzero(open_ & (labels == label))
        places = places[np.argsort(rank[places])]
        copies = _copies([rules[i].rule for i in places.tolist()], bits[places])
        free = np.ones(len(places), dtype=bool)
        for i, place in enumerate(places):
            if free[i]:
                found = copies[i] & free
                best[places[found]] = place
                free[found] = free[i] = False
    return best


def follows(first: Rule, second: Rule) -> bool:
    """Whether the second rule hits wherever the first does, by their conditions."""
    return all(any(implies(one, two) for one in first.conditions) for two in second.conditions)


def _copies(rules: Sequence[Rule], bits: Bitmap) -> Flags:
    """Which rules are near copies of each other: [n_rules, n_rules]."""
    rows, samples = indices(bits)
    hits = csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, samples)), shape=(len(rules), bits.shape[1] * 64))
    shared = (hits @ hits.T).toarray()
    total = count(bits)
    overlap = shared / np.maximum(total[:, None] + total[None, :] - shared, 1)
    copies = overlap > COPY
    for one, two in zip(*np.nonzero(np.triu((overlap > _IMPLIED) & ~copies, 1)), strict=True):
        if follows(rules[one], rules[two]) or follows(rules[two], rules[one]):
            copies[one, two] = copies[two, one] = True
    return copies
