"""All occurrences of many terms in many texts, found in one pass of an Aho-Corasick automaton."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import daachorse
import numpy as np

_SCAN_LENGTH = 1_000_000
"""Characters scanned at once: bounds the memory that matches take before they are packed into arrays."""


class Occurrences(NamedTuple):
    """Three arrays of one length, one entry an occurrence."""

    term: np.ndarray
    """Index into the matcher's terms."""
    text: np.ndarray
    """Index into the texts."""
    start: np.ndarray
    """Character in the text at which the term begins."""


class Matcher:
    """Finds overlapping occurrences of `terms`, which must be normalised, distinct, and hold no newline."""

    def __init__(self, terms: Sequence[str]) -> None:
        self.terms = tuple(terms)
        self._automaton = daachorse.CharwiseDoubleArrayAhoCorasick(list(self.terms))

    def occurrences(self, texts: Sequence[str]) -> Occurrences:
        """Every occurrence of every term in `texts`."""
        found = [self._scan(texts, first, last) for first, last in _portions(texts)]
        if len(found) == 1:
            return found[0]
        return Occurrences(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _scan(self, texts: Sequence[str], first: int, last: int) -> Occurrences:
        portion = texts[first:last]
        # Joined by newlines the texts need one scan; no term holds a newline, so none matches across two texts.
        matches = self._automaton.find_overlapping("\n".join(portion))
        table = np.fromiter(chain.from_iterable(matches), dtype=np.int64, count=3 * len(matches)).reshape(-1, 3)
        lengths = np.fromiter(map(len, portion), dtype=np.int64, count=len(portion))
        begins = np.zeros(len(portion), dtype=np.int64)
        np.cumsum(lengths[:-1] + 1, out=begins[1:])
        text = np.searchsorted(begins, table[:, 0], side="right") - 1
        return Occurrences(table[:, 2], text + first, table[:, 0] - begins[text])


def _portions(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts that together have about `_SCAN_LENGTH` characters."""
    first, length = 0, 0
    for index, text in enumerate(texts):
        if length and length + len(text) > _SCAN_LENGTH:
            yield first, index
            first, length = index, 0
        length += len(text)
    yield first, len(texts)
