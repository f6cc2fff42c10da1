"""What rules do on labelled samples, one row a rule: the table that Snorkel made the standard."""

from collections.abc import Sequence
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


def summarise(
    rules: Sequence[Rule], matrix: np.ndarray, labels: Sequence[tuple[str, ...] | None], multi: bool = False
) -> list[RuleSummary]:
    """One row for each of `rules`; `matrix` is bool [n_samples, n_rules], `labels` the samples' (`given_labels`).

    `multi` is whether a sample may have several: rules for different ones are then in no conflict.
    """
    size = max(len(labels), 1)
    names, rule_label = np.unique([rule.label for rule in rules], return_inverse=True)
    # votes  # [n_samples, n_labels]: how many rules of each label hit the sample
    votes = (
        np.stack([matrix[:, rule_label == label].sum(axis=1) for label in range(len(names))], axis=1)
        if rules
        else None
    )
    labelled = np.array([given is not None for given in labels], dtype=bool)
    having = {name: np.array([name in (given or ()) for given in labels], dtype=bool) for name in names.tolist()}
    rows = []
    for index, rule in enumerate(rules):
        assert votes is not None
        hit = matrix[:, index]
        others = votes[hit].sum(axis=1) - 1
        against = votes[hit].sum(axis=1) - votes[hit, rule_label[index]]
        correct = int((hit & having[rule.label]).sum())
        rows.append(
            RuleSummary(
                rule=rule,
                hits=int(hit.sum()),
                coverage=float(hit.sum() / size),
                overlaps=float((others > 0).sum() / size),
                conflicts=0.0 if multi else float((against > 0).sum() / size),
                correct=correct,
                incorrect=int((hit & labelled).sum()) - correct,
            )
        )
    return rows
