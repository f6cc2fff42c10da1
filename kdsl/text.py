"""One normalisation for mining, engine, highlighting and duplicate checks, with offsets back to the original text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter, le

_CJK = "\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_SPACE_IN_CJK = re.compile(rf" (?<=[{_CJK}] )(?=[{_CJK}])")
_SPACES_AT_SEPARATOR = re.compile(" ?\u240a ?")
_SELECTOR = re.compile("[\ufe00-\ufe0f]")
"""The only invisible characters that `str.isprintable` lets pass."""
_PUNCTUATION = tuple(zip("，？！：；（）", ",?!:;()", strict=True))
"""Common in Chinese text; replacing them first spares NFKC, which is slow once one character needs it."""
_FOLDED = re.compile("[\u4e00-\u9fff -@\\[-~、。“”《》\u240a]*")
"""Text of these alone is what most Chinese text is once its punctuation is replaced, and needs no folding."""
_SEPARATOR = "\u240a"
"""Stands between texts normalised together: printable, and composes with nothing."""

# Characters that each become exactly one, whatever stands around them: ASCII, full-width ASCII, common CJK and kana.
_SINGLE = "!-~\uff01-\uff5e\u4e00-\u9fff\u3400-\u4dbf\u3001-\u3003\u3005\u3008-\u3011\u3041-\u3096\u30a1-\u30fa‘’“”—"
_NOT_CJK = "!-~\uff01-\uff5e‘’“”—"
# Possessive and atomic, or a long English text that fails at its end would be tried in 2^spaces ways.
_ONE_TO_ONE = re.compile(rf"[{_SINGLE}]++(?: (?>(?<=[{_NOT_CJK}] )|(?=[{_NOT_CJK}]))[{_SINGLE}]++)*+")

_RESTLESS = re.compile("[ -~\u4e00-\u9fff]?[^ -~\u4e00-\u9fff]+")
"""Stretches that NFKC may change, each with the character before it: ASCII and Chinese change by what follows only."""

_SUPERFLUOUS_SPACES = re.compile("^ +|(?<= ) +| +$")

Part = tuple[int, str, int, int]
"""Canonical combining class, character, and the run [start, end) of the original text that it came from."""


def normalise(text: str) -> str:
    """The form in which terms are compared.

    NFKC (full-width forms become ASCII), case-folded, invisible characters dropped, lone surrogates replaced by
    U+FFFD, white space runs shortened to one space, and none between two CJK characters. Idempotent; the result holds
    no newline.
    """
    folded = _quick_fold(_narrow(text))
    if folded is None:
        folded = _SPACES.sub(" ", _fold(_SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))))
    elif "  " in folded:
        folded = _SPACES.sub(" ", folded)
    return _drop_spaces(folded).strip(" ") if " " in folded else folded


def normalise_lines(texts: Sequence[str]) -> tuple[str, bool]:
    """`normalise` of each text, joined by newlines; much faster than one by one on the turns of a dialogue.

    True beside it tells that every character stands where it stood in its text, so that spans need no way back;
    False promises nothing (see `original_span`).
    """
    joined = _SEPARATOR.join(texts)
    separated = joined.count(_SEPARATOR) < max(len(texts), 1)
    folded = _narrow(joined)
    aligned = separated and " " not in folded and _FOLDED.fullmatch(folded) is not None
    if not aligned:
        quick = _quick_fold(folded) if separated else None
        if quick is None:
            return "\n".join([normalise(text) for text in texts]), False
        folded = quick
        if " " in folded:
            folded = _SPACES_AT_SEPARATOR.sub(_SEPARATOR, _SPACES.sub(" ", folded)).strip(" ")
            folded = _drop_spaces(folded) if " " in folded else folded
    return folded.replace(_SEPARATOR, "\n"), aligned


def writable(text: str) -> str:
    """Halves of surrogate pairs, which no file can hold, become question marks.

    >>> writable("退\\ud83d款")
    '退?款'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def _narrow(text: str) -> str:
    """With ASCII for the full-width punctuation that is common in Chinese text."""
    if not text.isascii():
        for wide, narrow in _PUNCTUATION:
            text = text.replace(wide, narrow)
    return text


def _quick_fold(text: str) -> str | None:
    """`_fold(text)` of `_narrow` text; None when characters must be removed first."""
    if _FOLDED.fullmatch(text):
        return text
    return _fold(text) if text.isprintable() and not _SELECTOR.search(text) else None


def _fold(text: str) -> str:
    """NFKC and case-folding of text without lone surrogates."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text)
    folded = text.casefold()
    return text if folded == text else unicodedata.normalize("NFKC", folded)


def _drop_spaces(text: str) -> str:
    """Without the spaces between CJK characters, which may compose once they touch, and then touch others."""
    composed = unicodedata.normalize("NFKC", joined := _SPACE_IN_CJK.sub("", text))
    return composed if composed == joined else _drop_spaces(composed)


def original_offsets(text: str) -> tuple[int, ...]:
    """Where the run of every character of `normalise(text)` begins in `text`, then `len(text)`; never falling."""
    return (*_runs(text)[0], len(text))


def original_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of `text` that the span [start, end) of its normalised form came from; it must not be empty.

    A normalised character came from the run of original characters that hold a part of it: プ from ﾌﾟ, é from e, a
    zero-width space and an accent, each letter of ﬁ from the whole ligature, a space from the first of its kind, and
    with a mark goes the dropped space that it stood on. Runs that overlap, as those of marks that change places, are
    one run, so that each normalises by itself. The span is the smallest that holds the runs of all its characters; it
    normalises to a text that holds them. Characters that left no trace are in a span only when they stand inside it.
    """
    simple = _ONE_TO_ONE.match(text)
    # What follows may still change the last of these characters, as an accent does, but none before it.
    if simple is not None and (end < simple.end() or simple.end() == len(text)):
        return start, end
    starts, ends = _runs(text)
    return starts[start], ends[end - 1]


@lru_cache(maxsize=16)
def _runs(text: str) -> tuple[Sequence[int], Sequence[int]]:
    """Starts and ends of the runs of all characters of `normalise(text)`, neither ever falling.

    Does what `normalise` does, one step after the other, with characters that carry their run.
    """
    traced = _Traced(_SURROGATE.sub("\ufffd", _narrow(text)), list(range(len(text))), list(range(1, len(text) + 1)))
    traced = _compatible(_case_folded(_compatible(_without(traced, _INVISIBLE))))
    while True:
        traced = _spaced(traced)
        composed = _compatible(traced)
        if composed.text == traced.text:
            break
        traced = composed
    return _joined(traced.starts, traced.ends)


@dataclass(slots=True)
class _Traced:
    """A text on its way to the normalised one; character i came from the original run [starts[i], ends[i])."""

    text: str
    starts: list[int]
    ends: list[int]

    def cut(self, first: int, last: int | None = None) -> "_Traced":
        return _Traced(self.text[first:last], self.starts[first:last], self.ends[first:last])


def _replaced(traced: _Traced, places: Iterable[tuple[int, int, _Traced | None]]) -> _Traced:
    """With something else, or nothing, for the characters [first, last) of each place; places are in order."""
    pieces = []
    done = 0
    for first, last, piece in places:
        pieces.append(traced.cut(done, first))
        if piece is not None:
            pieces.append(piece)
        done = last
    if not pieces:
        return traced
    pieces.append(traced.cut(done))
    return _Traced(
        "".join([piece.text for piece in pieces]),
        [start for piece in pieces for start in piece.starts],
        [end for piece in pieces for end in piece.ends],
    )


def _joined(starts: Sequence[int], ends: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Runs of which those that overlap have become one."""
    if all(map(le, ends, starts[1:])):
        return starts, ends
    joined: list[tuple[int, int, int]] = []  # start, end, and how many characters have it
    for start, end in zip(starts, ends, strict=True):
        count = 1
        while joined and joined[-1][1] > start:
            first, last, others = joined.pop()
            start, end, count = min(start, first), max(end, last), count + others
        joined.append((start, end, count))
    return [start for start, _, n in joined for _ in range(n)], [end for _, end, n in joined for _ in range(n)]


def _without(traced: _Traced, pattern: re.Pattern[str]) -> _Traced:
    """Without what the pattern matches."""
    return _replaced(traced, ((*match.span(), None) for match in pattern.finditer(traced.text)))


def _case_folded(traced: _Traced) -> _Traced:
    folded = traced.text.casefold()
    if len(folded) == len(traced.text):  # no character folds to none, so each to one
        return _Traced(folded, traced.starts, traced.ends)
    places = [i for i, character in enumerate(traced.text) for _ in character.casefold()]
    return _Traced(folded, [traced.starts[i] for i in places], [traced.ends[i] for i in places])


def _compatible(traced: _Traced) -> _Traced:
    """NFKC."""
    places = [match.span() for match in _RESTLESS.finditer(traced.text)]
    changing = [place for place in places if not unicodedata.is_normalized("NFKC", traced.text[slice(*place)])]
    return _replaced(traced, ((*place, _composed(_ordered(traced.cut(*place)))) for place in changing))


def _ordered(traced: _Traced) -> list[Part]:
    """The characters decomposed and in canonical order (Unicode Standard Annex 15)."""
    ordered: list[Part] = []
    marks: list[Part] = []
    for whole, start, end in zip(traced.text, traced.starts, traced.ends, strict=True):
        for character, place in _decomposed(whole):
            part = place, character, start, end
            if place:
                marks.append(part)
            else:
                ordered += [*sorted(marks, key=itemgetter(0)), part]
                marks = []
    return ordered + sorted(marks, key=itemgetter(0))


def _composed(parts: Sequence[Part]) -> _Traced:
    """Marks joined to what they stand on, where the two have a form of their own (the same annex)."""
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    base, previous = -1, 0
    for place, character, start, end in parts:
        # Nothing may stand between a base and what it composes with but marks of a lower place.
        touching = base >= 0 and (previous < place or base == len(texts) - 1)
        if touching and (both := _one_of_two(texts[base], character)):
            texts[base], starts[base], ends[base] = both, min(starts[base], start), max(ends[base], end)
            continue
        if not place:
            base = len(texts)
        previous = place
        texts.append(character)
        starts.append(start)
        ends.append(end)
    return _Traced("".join(texts), starts, ends)


@lru_cache(maxsize=4096)
def _decomposed(character: str) -> tuple[tuple[str, int], ...]:
    """The characters that it is made of, each with its canonical combining class, which is 0 for what bears marks."""
    return tuple((part, unicodedata.combining(part)) for part in unicodedata.normalize("NFKD", character))


@lru_cache(maxsize=4096)
def _one_of_two(base: str, character: str) -> str:
    """The one character that both make; empty where they stay two."""
    both = unicodedata.normalize("NFC", base + character)
    return both if len(both) == 1 else ""


def _spaced(traced: _Traced) -> _Traced:
    """White space shortened, and none between two CJK characters and at the ends."""
    if not _SPACES.search(traced.text):
        return traced
    single = _without(_Traced(re.sub(r"\s", " ", traced.text), traced.starts, traced.ends), _SUPERFLUOUS_SPACES)
    for match in _SPACE_IN_CJK.finditer(single.text):
        space = match.start()
        if unicodedata.combining(single.text[space + 1]):  # the mark stood on that space, which went because of it
            single.starts[space + 1] = min(single.starts[space], single.starts[space + 1])
            single.ends[space + 1] = max(single.ends[space], single.ends[space + 1])
    return _without(single, _SPACE_IN_CJK)
