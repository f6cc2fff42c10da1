"""From hits of weighed rules to evidence for each label, in two parts: what overlapping rules say counts once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdsl.rules.rule import Rule
from kdsl.sample import Task

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class RuleEvidence(NamedTuple):
    """What rules say for every label, in log odds: each part [n_samples, n_labels], at least 0."""

    people: Floats
    """Rules that a person accepted, as they stand."""
    mined: Floats
    """The others: what mining proposes, and what nobody has vouched for yet."""

    @classmethod
    def none(cls, n_samples: int, n_labels: int) -> "RuleEvidence":
        """No rule says anything."""
        return cls(np.zeros((n_samples, n_labels)), np.zeros((n_samples, n_labels)))

    def rows(self, chosen: Flags | NDArray[np.int64]) -> "RuleEvidence":
        """That of some of the samples."""
        return RuleEvidence(self.people[chosen], self.mined[chosen])


def rule_labels(task: Task, rules: Sequence[Rule]) -> NDArray[np.int64]:
    """Index into `task.labels` of what every rule speaks for: [n_rules]."""
    return np.array([task.label_names.index(rule.label) for rule in rules], dtype=np.int64)


def overlap(labels: NDArray[np.int64], hits: Flags) -> Floats:
    """Jaccard overlap of what rules of one label hit: hits bool [n_samples, n_rules] to [n_rules, n_rules] in [0, 1].

    0 between rules of different labels; 0 for rules that hit nothing.
    """
    counts = hits.astype(np.float64)
    both = counts.T @ counts
    single = np.diag(both)
    either = single[:, None] + single[None, :] - both
    return np.where(labels[:, None] == labels[None, :], both / np.maximum(either, 1.0), 0.0)


def label_evidence(
    hits: Flags, labels: NDArray[np.int64], weights: Floats, overlaps: Floats, n_labels: int, people: Flags
) -> RuleEvidence:
    """Evidence for every label on every sample, of the rules that `people` [n_rules] marks and of the others.

    Of the rules of a label that hit, those of people come first, then the heavier ones. The first counts in full,
    every further one by `1 − overlap²` of its weight, `overlap` being the largest with one before it that hits and
    weighs something: what the same samples say twice counts once, and a mined twin of an accepted rule says nothing.
    """
    evidence = RuleEvidence.none(len(hits), n_labels)
    speaking = hits.any(axis=0) & (weights > 0)
    for label in np.unique(labels[speaking]):
        rules = np.flatnonzero((labels == label) & speaking)
        rules = rules[np.lexsort((-weights[rules], ~people[rules]))]
        present = hits[:, rules].astype(np.float64)
        for position, rule in enumerate(rules):
            shared = (present[:, :position] * overlaps[rule, rules[:position]]).max(axis=1, initial=0.0)
            part = evidence.people if people[rule] else evidence.mined
            part[:, label] += present[:, position] * weights[rule] * (1 - shared**2)
    return evidence
