"""What classifiers expect of rules on samples that nobody has labelled.

A rule that is right on its few training samples may be right by chance. Of its hits among a thousand unlabelled ones
nobody knows which are wrong, but a classifier says of all together how likely the rule's label is there, and that
tells good rules from lucky ones: how far, `kdsl.mining.reliability` learns out of fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, members
from kdsl.fields.table import FieldTable
from kdsl.mining.problem import FoundRule
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.engine import condition_bitmaps

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Opinion:
    """Unlabelled samples, and how likely each label is on each of them."""

    table: FieldTable
    probabilities: Mapping[int, Floats]
    """Fold → by a classifier that was trained without it; `kdsl.mining.problem.ALL_SAMPLES` → by one that was trained
    on all. [n_samples, n_labels]"""

    def expected(
        self, vocabulary: Vocabulary, found: Mapping[tuple[int, int], Sequence[FoundRule]]
    ) -> dict[tuple[int, int], list[float | None]]:
        """`mean` for all rules of each (fold, label): of the classifier that was trained without the same fold."""
        here = self._vocabulary(vocabulary, [rule for rules in found.values() for rule in rules])
        return {
            (fold, label): [self.mean(fold, label, rule.bits(here)) for rule in rules]
            for (fold, label), rules in found.items()
        }

    def mean(self, fold: int, label: int, hits: Bitmap) -> float | None:
        """Mean probability of a label on the samples `hits` [n_words], without `fold`; None where there is none."""
        rows = members(hits)
        return float(self.probabilities[fold][rows, label].mean()) if len(rows) else None

    def _vocabulary(self, vocabulary: Vocabulary, rules: Sequence[FoundRule]) -> Vocabulary:
        """The vocabulary over these samples; of conditions in none of the rules nothing is known."""
        used = sorted({index for rule in rules for part in rule.conditions for index in part})
        found = condition_bitmaps([vocabulary.conditions[index] for index in used], self.table)
        coverage = np.zeros((len(vocabulary), found.shape[1]), dtype=np.uint64)
        coverage[used] = found
        return replace(vocabulary, coverage=coverage, n_samples=len(self.table), gave=None)
