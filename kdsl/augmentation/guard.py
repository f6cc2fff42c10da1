"""What active rules for a sample's label see in it, and whether a copy still shows it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.augmentation.words import Span
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule


class Guard:
    """Compares copies with the rows of `table` that they were made of.

    Only rules for a row's own label that hit it count: the copy must be hit by all of them, so that what they look for
    is there, and what they exclude is not.
    """

    def __init__(
        self, rules: Sequence[Rule], label_names: Sequence[str], table: FieldTable, labels: NDArray[np.int64]
    ):
        self._engine = Engine([rule for rule in rules if rule.label in label_names])
        own = [label_names.index(rule.label) for rule in self._engine.rules]
        rows = {rule.id: index for index, rule in enumerate(self._engine.rules)}
        self._seen = np.zeros((len(table), len(own)), dtype=bool)
        self._hits = [
            [hit for hit in hits if hit.rule.label == label_names[label]]
            for hits, label in zip(self._engine.hits(table), labels.tolist(), strict=True)
        ]
        for row, hits in enumerate(self._hits):
            self._seen[row, [rows[hit.rule.id] for hit in hits]] = True

    def kept(self, copies: Sequence[SampleFields], sources: Sequence[int]) -> NDArray[np.bool_]:
        """Whether each copy of row `sources[i]` is hit by all that hit the row: [n_copies]."""
        if not self._engine.rules or not copies:
            return np.ones(len(copies), dtype=bool)
        hits = self._engine.matrix(FieldTable.of_rows(copies))
        missed = self._seen[list(sources)] & ~hits
        return ~np.any(missed, axis=1)

    def spans(self, row: int) -> dict[int, list[Span]]:
        """Turn → the spans of its text in which rules found a term."""
        found: dict[int, list[Span]] = {}
        for hit in self._hits[row]:
            for evidence in hit.evidence:
                if evidence.turn is not None and evidence.span is not None:
                    found.setdefault(evidence.turn, []).append(evidence.span)
        return found

    def lines(self, row: int) -> dict[str, set[int]]:
        """Image → the lines of its OCR page in which rules found a term."""
        found: dict[str, set[int]] = {}
        for hit in self._hits[row]:
            for evidence in hit.evidence:
                if evidence.image is not None and evidence.line is not None:
                    found.setdefault(evidence.image, set()).add(evidence.line)
        return found
