"""TF-IDF vectors of character n-grams. scikit-learn fits them; to use them it need not be imported, which costs more
processor time than predicting a sample."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LONGEST_NGRAM = 3
_SPACES = re.compile(r"\s\s+")
_BITS = 21
"""Of a code point and 1 more: three of them are one number."""


@dataclass(frozen=True)
class NgramWeights:
    """What scikit-learn's `TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, lowercase=False)`
    has learned, and how it makes vectors: `(1 + log count) · idf`, of unit length."""

    ngrams: tuple[str, ...]
    """In the order of the columns."""
    idf: NDArray[np.float64]
    """[n_ngrams]"""

    @cached_property
    def _table(self) -> "_HashTable":
        """The n-grams that are looked for, as numbers (`_keys`), with the column of each."""
        sought = [column for column, ngram in enumerate(self.ngrams) if 0 < len(ngram) <= LONGEST_NGRAM]
        keys = np.zeros(len(sought), dtype=np.int64)
        for length in range(1, LONGEST_NGRAM + 1):
            chosen = [place for place, column in enumerate(sought) if len(self.ngrams[column]) == length]
            keys[chosen] = _keys(_codes("".join(self.ngrams[sought[place]] for place in chosen)), length)[::length]
        return _HashTable.of(keys, np.array(sought, dtype=np.int64))

    def transform(self, texts: Sequence[str]) -> "csr_matrix":
        """[n_texts, n_ngrams]; a text without any of the n-grams is a row of zeros."""
        from scipy.sparse import csr_matrix

        rows, columns, values = self.entries(texts)
        starts = np.searchsorted(rows, np.arange(len(texts) + 1))
        return csr_matrix((values, columns, starts), shape=(len(texts), len(self.ngrams)))

    def entries(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """What of the same matrix is not 0, row by row: rows, columns in ascending order, and values."""
        # Rows and columns as one number, so that the n-grams of all texts are counted in one go.
        width = max(len(self.ngrams), 1)
        found = self._found(texts, width)
        # They come row by row, once for each length: what merges such runs takes half the time that np.unique does.
        found.sort(kind="stable")
        begins = np.flatnonzero(np.diff(found, prepend=-1))
        distinct, counts = found[begins], np.diff(begins, append=len(found))
        rows = distinct // width
        columns = distinct - rows * width
        values = (1 + np.log(counts)) * self.idf[columns]
        if len(rows):
            lengths = np.sqrt(np.bincount(rows, values * values))
            lengths[lengths == 0.0] = 1.0
            values /= lengths[rows]
        return rows, columns, values

    def _found(self, texts: Sequence[str], width: int) -> NDArray[np.int64]:
        """`row · width + column` of every occurrence of an n-gram in the texts."""
        table = self._table
        texts = [_SPACES.sub(" ", text) for text in texts]
        codes = _codes("".join(texts))
        rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        found = [np.zeros(0, dtype=np.int64)]
        for length in range(1, LONGEST_NGRAM + 1) if len(self.ngrams) else ():
            keys = _keys(codes, length)
            # None stands in two texts.
            places = np.flatnonzero(rows[: len(keys)] == rows[length - 1 :]) if length > 1 else np.arange(len(keys))
            columns = table.values(keys[places])
            known = np.flatnonzero(columns >= 0)
            found.append(rows[places[known]] * width + columns[known])
        return np.concatenate(found)


@dataclass(frozen=True)
class _HashTable:
    """Numbers, none below 0, and a value for each: looked up all at once, in a third of the time of a binary search.

    Open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4), Fibonacci hashing.
    """

    keys: NDArray[np.int64]
    """[2^bits], -1 where nothing is."""
    found: NDArray[np.int64]
    bits: int

    @classmethod
    def of(cls, keys: NDArray[np.int64], values: NDArray[np.int64]) -> "_HashTable":
        """Of distinct keys; at most a quarter of the places are taken, so that few have to be looked at."""
        bits = max(4, int(4 * len(keys)).bit_length())
        table = cls(np.full(1 << bits, -1, dtype=np.int64), np.full(1 << bits, -1, dtype=np.int64), bits)
        waiting, places = np.arange(len(keys)), table._first(keys)
        while len(waiting):
            free = table.keys[places] < 0
            table.keys[places[free]] = keys[waiting[free]]  # of several for one place the last one gets it
            placed = table.keys[places] == keys[waiting]
            table.found[places[placed]] = values[waiting[placed]]
            waiting, places = waiting[~placed], (places[~placed] + 1) & (len(table.keys) - 1)
        return table

    def values(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The value of every key, -1 for one that is not there."""
        places = self._first(keys)
        there = self.keys[places]
        result = np.where(there == keys, self.found[places], -1)
        open_ = np.flatnonzero((there != keys) & (there >= 0))
        places = places[open_]
        while len(open_):
            places = (places + 1) & (len(self.keys) - 1)
            there, wanted = self.keys[places], keys[open_]
            hit = there == wanted
            result[open_[hit]] = self.found[places[hit]]
            further = ~hit & (there >= 0)
            open_, places = open_[further], places[further]
        return result

    def _first(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place that each key is looked for first."""
        mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> np.uint64(64 - self.bits)).astype(np.int64)


def _codes(text: str) -> NDArray[np.int64]:
    """The code point of every character, plus 1."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64) + 1


def _keys(codes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """A number for the n-gram of so many characters at every place where one begins; of no two n-grams the same."""
    n = max(len(codes) - length + 1, 0)
    keys = codes[:n]
    for offset in range(1, length):
        keys = keys << _BITS | codes[offset : offset + n]
    return keys
