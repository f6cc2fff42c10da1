"""The training samples most like one of them: by the meaning of what is said or read, without an encoder by words."""

import threading
from dataclasses import dataclass

import numpy as np

from kdsl.fields.table import FieldTable, SampleFields
from kdsl.retrieval.sample_index import SampleIndex
from kdsl.retrieval.wording import opening
from kdsl.sample import Sample

MOST_ALIKE = 8
"""Samples shown."""
_COMPARED = ("last_user", "ocr")
"""What samples are compared by: the first that the asked one has."""


@dataclass(frozen=True)
class Similar:
    """A sample, and how like the asked one it is."""

    sample: Sample
    similarity: float
    """Cosine."""
    words: str
    """What a person knows it by."""


@dataclass(frozen=True)
class Alike:
    """The samples most like one, the nearest first; neither itself nor copies of it."""

    found: tuple[Similar, ...]
    field: str | None
    """Whose meaning was compared; None where samples were compared by their words."""


class Likeness:
    """Finds like samples in `table`. An index is made when it is first needed, once for all threads."""

    def __init__(self, table: FieldTable) -> None:
        self._table = table
        self._indexes: dict[str | None, SampleIndex] = {}
        self._mutex = threading.Lock()

    def to(self, position: int) -> Alike:
        """Those most like the sample at that position."""
        asked = self._table.rows[position]
        vectors = self._table.sentence_vectors
        said = _said(asked)
        field = said if vectors is not None and vectors.available else None
        index = self._index(field)
        table = self._table.select([position])
        own = None if field is None else table.vectors(field).astype(np.float64)
        nearest = index.nearest(table, MOST_ALIKE, vectors=own)
        found = tuple(
            Similar(self._table.rows[row].sample, similarity, opening(self._table.rows[row]))
            for row, similarity in zip(nearest.rows[0].tolist(), nearest.similarities[0].tolist(), strict=True)
            if row >= 0
        )
        return Alike(found, field)

    def _index(self, field: str | None) -> SampleIndex:
        with self._mutex:
            if field not in self._indexes:
                vectors = None if field is None else self._table.vectors(field).astype(np.float64)
                self._indexes[field] = SampleIndex.fit(self._table, vectors=vectors)
            return self._indexes[field]


def _said(row: SampleFields) -> str | None:
    """The field that a sample is compared by; None for one that has none of them."""
    return next((field for field in _COMPARED if row.text(field).text.strip()), None)
