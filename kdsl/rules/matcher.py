"""Which of many terms occur in which texts, in one pass of an Aho-Corasick automaton over each text."""

from collections.abc import Sequence

import daachorse
import numpy as np


class Matcher:
    """Finds all of `terms`, overlapping ones too; they must be distinct and none empty.

    daachorse walks characters, not bytes: on Chinese text it is about twice as fast as ahocorasick_rs
    (`scripts/bench engine`).
    """

    def __init__(self, terms: Sequence[str]) -> None:
        self.terms = tuple(terms)
        self._automaton = daachorse.CharwiseDoubleArrayAhoCorasick(list(self.terms))

    def find(self, text: str) -> list[tuple[int, int, int]]:
        """(start, end, index of the term) of every occurrence in one text."""
        return self._automaton.find_overlapping(text)

    def bitmaps(self, texts: Sequence[str]) -> np.ndarray:
        """[n_terms, n_words] uint64: bit j of word w tells whether the term occurs in text 64 * w + j."""
        terms: list[int] = []
        counts = []
        for text in texts:
            found = self._automaton.find_overlapping(text)
            terms += [term for _, _, term in found]
            counts.append(len(found))
        words = -(-len(texts) // 64)
        text = np.repeat(np.arange(len(texts)), counts)
        bits = np.zeros(len(self.terms) * words, dtype=np.uint64)
        index = np.fromiter(terms, dtype=np.int64, count=len(terms)) * words + (text >> 6)
        np.bitwise_or.at(bits, index, np.uint64(1) << (text & 63).astype(np.uint64))
        return bits.reshape(len(self.terms), words)
