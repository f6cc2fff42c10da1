"""What rules do on labelled samples, one row a rule: the table that Snorkel made the standard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsl.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """Shares are of all samples, 0 to 1; counts are of samples that have a label."""

    rule: Rule
    hits: int
    coverage: float
    overlaps: float
    """Share of samples that another rule hits too."""
    conflicts: float
    """Share of samples that a rule for another label hits too."""
    correct: int
    incorrect: int

    @property
    def precision(self) -> float | None:
        """None without hits on labelled samples."""
        labelled = self.correct + self.incorrect
        return self.correct / labelled if labelled else None

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.rule.id,
            "label": self.rule.label,
            "status": self.rule.status,
            "hits": self.hits,
            "coverage": self.coverage,
            "overlaps": self.overlaps,
            "conflicts": self.conflicts,
            "correct": self.correct,
            "incorrect": self.incorrect,
            "precision": self.precision,
        }


Piece = tuple[np.ndarray, Sequence[tuple[str, ...] | None]]
"""Of some samples a bool array [n_samples, n_rules] of hits, and their labels (`given_labels`)."""


def summarise(rules: Sequence[Rule], pieces: Iterable[Piece], multi: bool = False) -> list[RuleSummary]:
    """One row for each of `rules`, over all samples of `pieces`, of which one is looked at at a time.

    `multi` is whether a sample may have several labels: rules for different ones are then in no conflict.
    """
    size = 0
    counts = np.zeros((len(rules), 5), dtype=np.int64)
    for matrix, labels in pieces:
        size += len(labels)
        if rules:
            counts += _counts(rules, matrix, labels)
    return [
        RuleSummary(
            rule=rule,
            hits=hits,
            coverage=hits / max(size, 1),
            overlaps=overlaps / max(size, 1),
            conflicts=0.0 if multi else conflicts / max(size, 1),
            correct=correct,
            incorrect=incorrect,
        )
        for rule, (hits, overlaps, conflicts, correct, incorrect) in zip(rules, counts.tolist(), strict=True)
    ]


def _counts(rules: Sequence[Rule], matrix: np.ndarray, labels: Sequence[tuple[str, ...] | None]) -> np.ndarray:
    """Hits, overlaps, conflicts, right and wrong hits of every rule: int64 [n_rules, 5]."""
    names, rule_label = np.unique([rule.label for rule in rules], return_inverse=True)
    # votes  # [n_samples, n_labels]: how many rules of each label hit the sample
    votes = np.stack([matrix[:, rule_label == label].sum(axis=1) for label in range(len(names))], axis=1)
    labelled = np.array([given is not None for given in labels], dtype=bool)
    having = {name: np.array([name in (given or ()) for given in labels], dtype=bool) for name in names.tolist()}
    rows = []
    for index, rule in enumerate(rules):
        hit = matrix[:, index]
        all_votes = votes[hit].sum(axis=1)
        others, against = all_votes - 1, all_votes - votes[hit, rule_label[index]]
        correct = int((hit & having[rule.label]).sum())
        wrong = int((hit & labelled).sum()) - correct
        rows.append((int(hit.sum()), int((others > 0).sum()), int((against > 0).sum()), correct, wrong))
    return np.array(rows, dtype=np.int64)
