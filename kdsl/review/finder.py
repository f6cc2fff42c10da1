"""Which samples of a fixed set a condition holds on, in milliseconds, for rules that are being written.

`kdsl.rules.engine` decides thousands of rules in one pass over texts; here one term at a time is looked for in all
texts of a field as one array. Both must say the same (tested).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.embeddings.encoder import Vectors32
from kdsl.fields import NUMBER_FIELDS, TEXT_FIELDS
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.review.text_column import TextColumn
from kdsl.rules.condition import Comparison, Condition, Meaning
from kdsl.rules.engine import YES
from kdsl.rules.meaning import ROUNDING, comparable, similarities
from kdsl.rules.rule import Rule, When
from kdsl.rules.sight import holds_on_sight

_KEPT = 1 << 28
"""Bytes that are kept of where terms occur."""
_AT_ONCE = 1024
"""Samples whose pieces are compared at once, which bounds the vectors that are held for it."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The fields of many samples, each for all samples at once."""

    texts: Mapping[str, TextColumn]
    """By field."""
    numbers: Mapping[str, NDArray[np.float64]]
    """[n_samples]; nan where there is no number."""

    def __len__(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.numbers.values())))

    @classmethod
    def of(cls, table: FieldTable) -> "Columns":
        """Reads all fields of all samples, which takes seconds for thousands."""
        return cls(
            {field: TextColumn.of(table.texts(field)) for field in TEXT_FIELDS},
            {
                field: np.array([np.nan if value is None else value for value in table.numbers(field)], dtype=float)
                for field in NUMBER_FIELDS
            },
        )


class Finder:
    """Looks for conditions on samples whose fields are `columns`.

    What takes long is kept: where a term occurs, how near a wording is, what a condition on sight holds on. So a
    threshold may move without anything being looked for again.
    """

    def __init__(self, columns: Columns, table: FieldTable | None = None) -> None:
        """`table` has the same samples; without it only conditions that `in_columns` can be looked for."""
        self._columns = columns
        self._table = table = FieldTable((), Sidecars()) if table is None else table
        # Not methods, which would tie the finder to itself: it must go at once when its data are read again.
        searched = lru_cache(maxsize=64)(partial(_searched, table, columns.texts))
        size = len(columns)
        self._term = lru_cache(maxsize=min(4096, _KEPT // max(size, 1)))(partial(_find, searched, size))
        self._similarities = lru_cache(maxsize=256)(partial(_similarities, table))
        self._seen = lru_cache(maxsize=256)(partial(_seen, table))

    def rule(self, conditions: Sequence[Condition]) -> Flags:
        """Whether all conditions hold on each sample: bool [n_samples]; nowhere where a meaning cannot be compared."""
        result = np.ones(len(self._columns), dtype=bool)
        if any(condition.meaning is not None for condition in conditions):
            rule = Rule(id="r-0000", label="", when=When(all=tuple(conditions)))
            if not comparable(rule, self._table.sentence_vectors):
                return ~result
        for condition in conditions:
            result &= self.condition(condition)
        return result

    def condition(self, condition: Condition) -> Flags:
        """Whether the condition holds on each sample: bool [n_samples]. A meaning must be comparable."""
        result = self._positive(condition)
        return ~result if condition.negated else result

    def similarities(self, meaning: Meaning) -> Vectors32:
        """The largest cosine of any piece of the field with any of the wordings: [n_samples], −1 without a piece."""
        return np.maximum.reduce([self._similarities(meaning.field, wording) for wording in meaning.wordings])

    def _positive(self, condition: Condition) -> Flags:
        """`condition` with the negation taken off."""
        if condition.comparison is not None:
            # A number that does not exist fails every comparison, and so meets the negation.
            values, where = np.unique(self._columns.numbers[condition.field], return_inverse=True)
            numbers = [None if np.isnan(value) else value for value in values.tolist()]
            return np.array([condition.comparison.holds(number) for number in numbers], dtype=bool)[where]
        if condition.question is not None:
            question = condition.question
            return np.array([(row.answer(question) or 0.0) >= YES for row in self._table.rows], dtype=bool)
        if condition.meaning is not None:
            return np.array(self.similarities(condition.meaning) >= condition.meaning.at - ROUNDING, dtype=bool)
        if condition.colour is not None or condition.image_kind is not None:
            return self._seen(condition.model_copy(update={"negated": False}))
        result = np.zeros(len(self._columns), dtype=bool)
        height = None if condition.size is None else condition.size.height
        for term in condition.normalised_terms:
            result |= self._term(condition.field, height, term)
        return result


def in_columns(condition: Condition) -> bool:
    """Whether a condition is about texts and numbers alone, which columns have."""
    return condition.comparison is not None or bool(condition.terms)


def _searched(table: FieldTable, texts: Mapping[str, TextColumn], field: str, height: Comparison | None) -> TextColumn:
    """The text of a field, or of the lines of such a height."""
    return texts[field] if height is None else TextColumn.of([row.lines_of(height.holds).text for row in table.rows])


def _find(
    searched: Callable[[str, Comparison | None], TextColumn], count: int, field: str, height: Comparison | None,
    term: str,
) -> Flags:  # fmt: skip
    found = np.zeros(count, dtype=bool)
    found[searched(field, height).find(term)] = True
    found.setflags(write=False)
    return found


def _similarities(table: FieldTable, field: str, wording: str) -> Vectors32:
    """The largest cosine of any piece of the field with the wording: [n_samples]."""
    batches = [table.rows[first : first + _AT_ONCE] for first in range(0, len(table), _AT_ONCE)]
    found = [similarities(batch, field, [wording])[:, 0] for batch in batches]
    result = np.concatenate([np.zeros(0, dtype=np.float32), *found])
    result.setflags(write=False)
    return result


def _seen(table: FieldTable, condition: Condition) -> Flags:
    """Whether a condition on kind or colour holds on each sample."""
    table.look()
    found = np.array([holds_on_sight(condition, row) for row in table.rows], dtype=bool)
    found.setflags(write=False)
    return found
