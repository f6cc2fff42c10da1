"""Conditions on meaning over a batch of samples: all distinct wordings of a field in one matrix product."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kdsl.bitmaps import Flags
from kdsl.embeddings.encoder import Vectors32
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.pieces import Piece, pieces
from kdsl.fields.table import SampleFields
from kdsl.rules.condition import Meaning
from kdsl.rules.rule import Rule
from kdsl.text import normalise

ROUNDING = 1e-6
"""How much a cosine may miss a threshold by for the rounding of vectors alone: a text is as near as 1 to itself."""


class Nearest(NamedTuple):
    """Of all pieces of a field the one that is nearest to any of some wordings."""

    piece: Piece
    wording: str
    """As the rule file writes it."""
    similarity: float
    """Cosine of the two vectors."""

    def __str__(self) -> str:
        return f"similarity {self.similarity:.2f} to {self.wording}"


def meanings(rule: Rule) -> list[Meaning]:
    """What the conditions of a rule that are on meaning compare."""
    return [condition.meaning for condition in rule.conditions if condition.meaning is not None]


def comparable(rule: Rule, vectors: SentenceVectors | None) -> bool:
    """Whether all meanings of a rule can be told: there is an encoder, and it is the one that their `at` is for.

    A rule of which this is not so holds on no sample.
    """
    return all(vectors is not None and meaning.encoder in (None, vectors.name) for meaning in meanings(rule))


def untold(rule: Rule, batch: Sequence[SampleFields], vectors: SentenceVectors) -> Flags:
    """Samples of which nobody can tell whether a negated meaning of the rule holds, as a text that it compares has no
    vector: bool [n_samples]. Only where the encoder's package is missing there are such."""
    unknown = np.zeros(len(batch), dtype=bool)
    if vectors.available:
        return unknown
    for condition in rule.conditions:
        if condition.meaning is None or not condition.negated:
            continue
        wordings = [normalise(wording) for wording in condition.meaning.wordings]
        texts = [[*wordings, *(piece.text for piece in pieces(row.text(condition.reads)))] for row in batch]
        known = vectors.of([text for of_sample in texts for text in of_sample]).any(axis=1)
        ends = np.cumsum([len(of_sample) for of_sample in texts])
        unknown |= ~np.array([each.all() for each in np.split(known, ends[:-1])], dtype=bool)
    return unknown


def nearest(meaning: Meaning, row: SampleFields, wordings: Vectors32 | None = None) -> Nearest | None:
    """What comes nearest in a sample; None where the field is empty. The sample must have vectors.

    `wordings` [n_wordings, size] are `wording_vectors` of the meaning, where somebody has them.
    """
    vectors, found = row.sidecars.vectors, pieces(row.text(meaning.field))
    if vectors is None or not found:
        return None
    if wordings is None:
        wordings = wording_vectors(meaning, vectors)
    cosines = vectors.of([piece.text for piece in found]) @ wordings.T
    piece, wording = divmod(int(cosines.argmax()), cosines.shape[1])
    return Nearest(found[piece], meaning.wordings[wording], float(cosines[piece, wording]))


def wording_vectors(meaning: Meaning, vectors: SentenceVectors) -> Vectors32:
    """[n_wordings, size]"""
    return vectors.of([normalise(wording) for wording in meaning.wordings])


class Wordings:
    """The distinct wordings of meanings on any fields, each encoded once."""

    def __init__(self, meanings: Sequence[Meaning]) -> None:
        texts: dict[str, dict[str, int]] = {}
        for meaning in meanings:
            known = texts.setdefault(meaning.field, {})
            for wording in meaning.wordings:
                known.setdefault(normalise(wording), len(known))
        self._texts = {field: list(known) for field, known in texts.items()}
        firsts = dict(zip(texts, np.cumsum([0, *map(len, texts.values())]).tolist(), strict=False))
        columns = [
            [firsts[each.field] + texts[each.field][normalise(wording)] for wording in each.wordings]
            for each in meanings
        ]
        self._columns = np.array([column for of_meaning in columns for column in of_meaning], dtype=np.int64)
        """The wordings of one meaning after the other, each its column among the texts of all fields."""
        self._firsts = np.cumsum([0, *map(len, columns[:-1])])
        self._least = np.array([meaning.at - ROUNDING for meaning in meanings], dtype=np.float32)
        self._encoded: tuple[SentenceVectors, Mapping[str, Vectors32]] | None = None

    def compared(self, batch: Sequence[SampleFields]) -> list[str]:
        """The texts that the wordings are compared with."""
        return [piece.text for field in self._texts for row in batch for piece in pieces(row.text(field))]

    def holds(self, batch: Sequence[SampleFields], vectors: SentenceVectors) -> Flags:
        """For each meaning the samples that have a piece near enough to any of its wordings: bool [n_meanings,
        n_samples]."""
        encoded = self._of(vectors)
        near = np.hstack([_similarities(batch, field, vectors, encoded[field]) for field in self._texts])
        nearest = np.maximum.reduceat(near[:, self._columns], self._firsts, axis=1)
        flags: Flags = self._least[:, None] <= nearest.T
        return flags

    def _of(self, vectors: SentenceVectors) -> Mapping[str, Vectors32]:
        """The vectors of the wordings of every field."""
        if self._encoded is None or self._encoded[0] is not vectors:
            self._encoded = vectors, {field: vectors.of(texts) for field, texts in self._texts.items()}
        return self._encoded[1]


def similarities(batch: Sequence[SampleFields], field: str, wordings: Sequence[str]) -> Vectors32:
    """The largest cosine of any piece of a field with each wording: [n_samples, n_wordings], −1 without a piece.

    The samples must have vectors.
    """
    vectors = batch[0].sidecars.vectors if batch else None
    if vectors is None:
        return np.full((len(batch), len(wordings)), -1.0, dtype=np.float32)
    return _similarities(batch, field, vectors, vectors.of([normalise(wording) for wording in wordings]))


def _similarities(
    batch: Sequence[SampleFields], field: str, vectors: SentenceVectors, wordings: Vectors32
) -> Vectors32:
    index: dict[str, int] = {}
    rows: list[int] = []
    counts = []
    for row in batch:
        found = [index.setdefault(piece.text, len(index)) for piece in pieces(row.text(field))]
        rows += found
        counts.append(len(found))
    result = np.full((len(batch), len(wordings)), -1.0, dtype=np.float32)
    some = np.flatnonzero(counts)
    if len(some):
        cosines = vectors.of(list(index)) @ wordings.T
        firsts = np.cumsum([0, *(counts[i] for i in some[:-1])])
        result[some] = np.maximum.reduceat(cosines[rows], firsts, axis=0)
    return result
