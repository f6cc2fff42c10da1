"""Which samples of a fixed set a condition holds on, in milliseconds, for rules that are being written.

`kdsl.rules.engine` decides thousands of rules in one pass over texts; here one term at a time is looked for in all
texts of a field as one string, which `str.find` runs through quickly. Both must say the same (tested).
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.embeddings.encoder import Vectors32
from kdsl.fields import NUMBER_FIELDS, TEXT_FIELDS
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Comparison, Condition, Meaning
from kdsl.rules.engine import YES
from kdsl.rules.matcher import is_bounded, whole_words
from kdsl.rules.meaning import ROUNDING, comparable, similarities
from kdsl.rules.rule import Rule, When
from kdsl.rules.sight import holds_on_sight

Joined = tuple[str, list[int]]
"""Texts of many samples, one after the other, and where each begins, with the end of the last."""
_AT_ONCE = 1024
"""Samples whose pieces are compared at once, which bounds the vectors that are held for it."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The fields of many samples, each for all samples at once."""

    texts: Mapping[str, Joined]
    """By field."""
    numbers: Mapping[str, NDArray[np.float64]]
    """[n_samples]; nan where there is no number."""

    @classmethod
    def of(cls, table: FieldTable) -> "Columns":
        """Reads all fields of all samples, which takes seconds for thousands."""
        return cls(
            {field: _join(table.texts(field)) for field in TEXT_FIELDS},
            {
                field: np.array([np.nan if value is None else value for value in table.numbers(field)], dtype=float)
                for field in NUMBER_FIELDS
            },
        )


class Finder:
    """Looks for conditions on the samples of `table`, whose fields are `columns`.

    What takes long is kept: where a term occurs, how near a wording is, what a condition on sight holds on. So a
    threshold may move without anything being looked for again.
    """

    def __init__(self, table: FieldTable, columns: Columns) -> None:
        self._table = table
        self._numbers = columns.numbers
        # Not methods, which would tie the finder to itself: it must go at once when its data are read again.
        searched = lru_cache(maxsize=64)(partial(_searched, table, columns.texts))
        self._term = lru_cache(maxsize=4096)(partial(_find, searched, len(table)))
        self._similarities = lru_cache(maxsize=256)(partial(_similarities, table))
        self._seen = lru_cache(maxsize=256)(partial(_seen, table))

    def rule(self, conditions: Sequence[Condition]) -> Flags:
        """Whether all conditions hold on each sample: bool [n_samples]; nowhere where a meaning cannot be compared."""
        result = np.ones(len(self._table), dtype=bool)
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
            # A number that does not exist is nan: it fails every comparison, and so meets the negation.
            numbers = self._numbers[condition.field]
            comparison = condition.comparison
            return np.array([comparison.holds(None if np.isnan(number) else number) for number in numbers], dtype=bool)
        if condition.question is not None:
            question = condition.question
            return np.array([(row.answer(question) or 0.0) >= YES for row in self._table.rows], dtype=bool)
        if condition.meaning is not None:
            return np.array(self.similarities(condition.meaning) >= condition.meaning.at - ROUNDING, dtype=bool)
        if condition.colour is not None or condition.image_kind is not None:
            return self._seen(condition.model_copy(update={"negated": False}))
        result = np.zeros(len(self._table), dtype=bool)
        height = None if condition.size is None else condition.size.height
        for term in condition.normalised_terms:
            result |= self._term(condition.field, height, term)
        return result


def _searched(table: FieldTable, texts: Mapping[str, Joined], field: str, height: Comparison | None) -> Joined:
    """The text of a field, or of the lines of such a height."""
    return texts[field] if height is None else _join([row.lines_of(height.holds).text for row in table.rows])


def _find(
    searched: Callable[[str, Comparison | None], Joined], count: int, field: str, height: Comparison | None, term: str
) -> Flags:
    text, starts = searched(field, height)
    found = np.zeros(count, dtype=bool)
    bounded = is_bounded(term)
    position = text.find(term)
    while position >= 0:
        if bounded and not whole_words(text, position, position + len(term)):
            position = text.find(term, position + 1)
            continue
        sample = bisect_right(starts, position) - 1
        found[sample] = True
        position = text.find(term, starts[sample + 1])
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


def _join(texts: Sequence[str]) -> Joined:
    """No term holds the newline between two texts."""
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(text) + 1)
    return "\n".join(texts) + "\n", starts
