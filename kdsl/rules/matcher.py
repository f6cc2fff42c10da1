"""Which of many terms occur in which texts, in one pass of an Aho-Corasick automaton over each text."""

from collections.abc import Sequence
from operator import itemgetter

import daachorse
import numpy as np

from kdsl.bitmaps import Bitmap, pack_indices

_TERM = itemgetter(2)
"""Of a match: start, end, index of the term."""
_BLOCK = 1 << 13
"""Texts whose matches are in memory at the same time; whole words of a bitmap."""
_NO_WORDS = "\u2e80"
"""From here on scripts write no spaces between words."""


class Matcher:
    """Finds all of `terms`, overlapping ones too; they must be distinct and none empty.

    Chinese, Japanese and Korean have no word boundaries: their terms match anywhere. A letter or digit of another
    script at a term's end must end a word: "age" is not in "message", nor "5g" in "15g" (see `whole_words`).
    daachorse walks characters, not bytes: on Chinese text it is about twice as fast as ahocorasick_rs
    (`scripts/bench engine`).
    """

    def __init__(self, terms: Sequence[str]) -> None:
        self.terms = tuple(terms)
        self._automaton = daachorse.CharwiseDoubleArrayAhoCorasick(list(self.terms))
        self._bounded = [is_bounded(term) for term in self.terms]
        self._any_bounded = any(self._bounded)

    def bitmaps(self, texts: Sequence[str]) -> Bitmap:
        """The texts that each term occurs in: uint64 [n_terms, n_words]."""
        blocks = [self._block(texts[first : first + _BLOCK]) for first in range(0, max(len(texts), 1), _BLOCK)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)

    def _block(self, texts: Sequence[str]) -> Bitmap:
        terms: list[int] = []
        counts = []
        for text in texts:
            found = self._automaton.find_overlapping(text)
            if self._any_bounded:
                bounded = self._bounded
                found = [match for match in found if not bounded[match[2]] or whole_words(text, match[0], match[1])]
            terms.extend(map(_TERM, found))
            counts.append(len(found))
        rows = np.fromiter(terms, dtype=np.int64, count=len(terms))
        return pack_indices(rows, np.repeat(np.arange(len(texts)), counts), len(self.terms), len(texts))


def first_occurrence(text: str, term: str, limit: int) -> int:
    """Where `term` first occurs in `text` as whole words, beginning before `limit`; -1 where it does not."""
    start = text.find(term, 0, limit + len(term) - 1)
    if not is_bounded(term):
        return start
    while start >= 0 and not whole_words(text, start, start + len(term)):
        start = text.find(term, start + 1, limit + len(term) - 1)
    return start


def whole_words(text: str, start: int, end: int) -> bool:
    """Whether the span [start, end) of normalised `text` cuts through no word of an alphabetic script."""
    cuts_first = start > 0 and _forms_words(text[start]) and _forms_words(text[start - 1])
    return not cuts_first and not (end < len(text) and _forms_words(text[end - 1]) and _forms_words(text[end]))


def is_bounded(term: str) -> bool:
    """Whether an end of the normalised term must be the end of a word."""
    return _forms_words(term[0]) or _forms_words(term[-1])


def _forms_words(character: str) -> bool:
    return character < _NO_WORDS and character.isalnum()


FORMS_WORDS = np.zeros(1 << 16, dtype=bool)
"""The same by UTF-16 code unit: bool [65536]."""
FORMS_WORDS[: ord(_NO_WORDS)] = [_forms_words(chr(code)) for code in range(ord(_NO_WORDS))]
