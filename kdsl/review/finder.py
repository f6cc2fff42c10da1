"""Which samples of a fixed set a condition holds on, in milliseconds, for rules that are being written.

`kdsl.rules.engine` decides thousands of rules in one pass over texts; here one term at a time is looked for in all
texts of a field as one string, which `str.find` runs through quickly. Both must say the same (tested).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from kdsl.fields import NUMBER_FIELDS, TEXT_FIELDS
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.engine import YES
from kdsl.rules.matcher import is_bounded, whole_words

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Columns:
    """The fields of many samples, each for all samples at once."""

    texts: Mapping[str, tuple[str, list[int]]]
    """All texts of a field, one after the other, and where each begins, with the end of the last."""
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
    """Looks for conditions on the samples of `table`, whose fields are `columns`."""

    def __init__(self, table: FieldTable, columns: Columns) -> None:
        self._table = table
        self._numbers = columns.numbers
        # Not a method, which would tie the finder to itself: it must go at once when its data are read again.
        self._term = lru_cache(maxsize=4096)(partial(_find, columns.texts, len(table)))

    def rule(self, conditions: Sequence[Condition]) -> Flags:
        """Whether all conditions hold on each sample: bool [n_samples]."""
        result = np.ones(len(self._table), dtype=bool)
        for condition in conditions:
            result &= self.condition(condition)
        return result

    def condition(self, condition: Condition) -> Flags:
        """Whether the condition holds on each sample: bool [n_samples]."""
        if condition.comparison is not None:
            # A number that does not exist is nan: it fails every comparison, and so meets the negation.
            numbers = self._numbers[condition.field]
            comparison = condition.comparison
            result = np.array([comparison.holds(None if np.isnan(number) else number) for number in numbers])
        elif condition.question is not None:
            question = condition.question
            result = np.array([(row.answer(question) or 0.0) >= YES for row in self._table.rows])
        else:
            result = np.zeros(len(self._table), dtype=bool)
            for term in condition.normalised_terms:
                result |= self._term(condition.field, term)
        result = result.astype(bool)
        return ~result if condition.negated else result


def _find(texts: Mapping[str, tuple[str, list[int]]], count: int, field: str, term: str) -> Flags:
    text, starts = texts[field]
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


def _join(texts: Sequence[str]) -> tuple[str, list[int]]:
    """No term holds the newline between two texts."""
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(text) + 1)
    return "\n".join(texts) + "\n", starts
