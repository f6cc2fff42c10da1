"""The words of a text that may be changed, and those that stay as they are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import rjieba

from kdsl.mining.units import family, segmented

_KEPT = re.compile(
    r"<[^<>\n]{1,60}>"  # placeholders: <image>, <http>, and marks such as <b>
    r"|https?://[!-;=?-~]+"  # to where Chinese goes on
    r"|\[[^\[\]\s]{1,12}\]|/:[!-~]{1,6}"  # emoji as shops write them: [微笑], /:b
    r"|[A-Za-z0-9_.%#@/:+\-]*\d[A-Za-z0-9_.%#@/:+\-]*"  # numbers, sizes, models, ids
)
_NUMERAL = re.compile("[零〇一二两三四五六七八九十百千万亿半几]+")
_WORD = re.compile(r"\w")
CLAUSE_ENDS = frozenset("，,。！!？?；;\n～~")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    kept: bool = False
    """It stays as it is: a placeholder, a number, or something that a rule sees."""

    @property
    def ends_clause(self) -> bool:
        return not self.kept and self.text in CLAUSE_ENDS

    @property
    def spoken(self) -> bool:
        """Whether it is more than punctuation and spaces."""
        return _WORD.search(self.text) is not None


def cut(text: str, spared: Sequence[Span] = ()) -> list[Word]:
    """The words of `text`, which they make up again when joined. Those in the spans `spared` are kept as a whole."""
    spans = _merged([*(match.span() for match in _KEPT.finditer(text)), *spared])
    words: list[Word] = []
    position = 0
    for start, end in spans:
        words += _segmented(text[position:start])
        words.append(Word(text[start:end], kept=True))
        position = end
    return words + _segmented(text[position:])


def families(text: str) -> frozenset[str]:
    """What the words of a normalised text have in common with their other forms, but for words of one character."""
    return frozenset(family(word) for word in segmented(text) if len(word) > 1)


def joined(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words)


def _segmented(text: str) -> list[Word]:
    return [Word(word, _NUMERAL.fullmatch(word) is not None) for word in rjieba.cut(text)] if text else []


def _merged(spans: Sequence[Span]) -> list[Span]:
    """In order, overlapping ones made one."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
