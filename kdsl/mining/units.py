"""Candidate terms of a text: words of alphabetic scripts, and runs of characters where there are no word borders."""

import re
from collections.abc import Iterator
from functools import cache

import snowballstemmer

_UNIT = re.compile(
    r"[a-z0-9\u00c0-\u024f\u0370-\u058f]+(?:['’][a-z]+)?"  # one word
    r"|[\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af\U00020000-\U0003ffff]"  # one character
    r"|\n|[^\w\s]"  # a border that no term crosses
)
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?")
_STEMMER = snowballstemmer.stemmer("english")
MAX_CHARACTERS = 5
MAX_WORDS = 3


def candidate_terms(text: str, shortest: int = 1) -> set[str]:
    """Every run of up to `MAX_CHARACTERS` units of normalised `text`, at most `MAX_WORDS` of them alphabetic words.

    No term crosses punctuation or a newline, is a number alone, or is shorter than `shortest` characters.
    """
    terms: set[str] = set()
    for run in _runs(text):
        for first in range(len(run)):
            words = 0
            for last in range(first, min(len(run), first + MAX_CHARACTERS)):
                words += run[last][2]
                if words > MAX_WORDS:
                    break
                term = text[run[first][0] : run[last][1]]
                if len(term) >= shortest and not term.isdigit():
                    terms.add(term)
    return terms


def family(term: str) -> str:
    """What the forms of a normalised term have in common: English words cut to their stems (Porter 2), all else as is.

    "activate my card" and "activated my cards" are one family, "调光" is its own.
    """
    return _WORD.sub(lambda match: _stem(match[0]), term)


def has_forms(term: str) -> bool:
    """Whether other terms may be of the same `family`: those with English words in them."""
    return _WORD.search(term) is not None


@cache
def _stem(word: str) -> str:
    return _STEMMER.stemWord(word)


def segmented(text: str) -> list[str]:
    """Normalised `text` cut into words by a dictionary-based segmenter (jieba)."""
    import rjieba  # not at the top: a process that only predicts has no use for it

    return rjieba.cut(text)


def phrases(text: str) -> set[str]:
    """The words of normalised `text`, and runs of up to `MAX_WORDS` adjacent ones."""
    cut = segmented(text)
    return {"".join(cut[first : first + n]) for n in range(1, MAX_WORDS + 1) for first in range(len(cut) - n + 1)}


def holds_han(term: str) -> bool:
    """Whether a term holds characters of a script without word borders, so that it may begin or end inside a word."""
    return any(character >= "\u2e80" for character in term)


def _runs(text: str) -> Iterator[list[tuple[int, int, bool]]]:
    """Stretches of (start, end, is an alphabetic word) without a border between them."""
    run: list[tuple[int, int, bool]] = []
    for match in _UNIT.finditer(text):
        unit = match[0]
        if unit.isalnum() or "'" in unit[1:] or "’" in unit[1:]:
            run.append((match.start(), match.end(), unit[0] < "\u2e80"))
        elif run:
            yield run
            run = []
    if run:
        yield run
