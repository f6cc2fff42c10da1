"""From hits of weighed rules to evidence for each label: what overlapping rules say counts once."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def overlap(labels: NDArray[np.int64], hits: Flags) -> Floats:
    """Jaccard overlap of what rules of one label hit: hits bool [n_samples, n_rules] to [n_rules, n_rules] in [0, 1].

    0 between rules of different labels; 0 for rules that hit nothing.
    """
    counts = hits.astype(np.float64)
    both = counts.T @ counts
    single = np.diag(both)
    either = single[:, None] + single[None, :] - both
    return np.where(labels[:, None] == labels[None, :], both / np.maximum(either, 1.0), 0.0)


def label_evidence(hits: Flags, labels: NDArray[np.int64], weights: Floats, overlaps: Floats, n_labels: int) -> Floats:
    """Evidence for every label on every sample: [n_samples, n_labels], at least 0.

    The heaviest rule of a label that hits counts in full, every further one by `1 − overlap²` of its weight, `overlap`
    being the largest with a heavier one that hits: what the same samples say twice counts once.
    """
    evidence = np.zeros((len(hits), n_labels))
    for label in np.unique(labels):
        rules = np.flatnonzero(labels == label)
        rules = rules[np.argsort(-weights[rules], kind="stable")]
        present = hits[:, rules].astype(np.float64)
        for position, rule in enumerate(rules):
            shared = (present[:, :position] * overlaps[rule, rules[:position]]).max(axis=1, initial=0.0)
            evidence[:, label] += present[:, position] * weights[rule] * (1 - shared**2)
    return evidence
