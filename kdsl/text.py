"""One normalisation for mining, engine, highlighting and duplicate checks, with offsets back to the original text."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

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
_CONTINUES = re.compile("[\u1160-\u11ff]")


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
    folded: str | None = _narrow(joined)
    aligned = separated and " " not in folded and _FOLDED.fullmatch(folded) is not None
    if not aligned:
        folded = _quick_fold(folded) if separated else None
        if folded is None:
            return "\n".join([normalise(text) for text in texts]), False
        if " " in folded:
            folded = _SPACES_AT_SEPARATOR.sub(_SEPARATOR, _SPACES.sub(" ", folded)).strip(" ")
            folded = _drop_spaces(folded) if " " in folded else folded
    return folded.replace(_SEPARATOR, "\n"), aligned


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
    """Without the spaces between CJK characters, which may compose once they touch."""
    return unicodedata.normalize("NFKC", _SPACE_IN_CJK.sub("", text))


@lru_cache(maxsize=16)
def original_offsets(text: str) -> tuple[int, ...]:
    """For every character of `normalise(text)` the index of the character of `text` it came from, then `len(text)`.

    A span [i, j) of the normalised text is text[offsets[i] : offsets[j - 1] + 1] (see `original_span`).
    """
    target = normalise(text)
    offsets: list[int] = []
    chunks = _chunks(text)
    position = 0
    for start, chunk in chunks:
        for character in _normalise_chunk(chunk) or (" " if chunk.isspace() else ""):
            # Spaces are dropped at the ends, in runs and inside CJK: skip those the normalised text does not have.
            if position < len(target) and target[position] == character:
                offsets.append(start)
                position += 1
    if position < len(target):  # a composition across chunks: rare; fall back to proportional positions
        offsets = [index * len(text) // len(target) for index in range(len(target))]
    return (*offsets, len(text))


def original_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of `text` that the span [start, end) of its normalised form came from."""
    if _ONE_TO_ONE.fullmatch(text):
        return start, end
    offsets = original_offsets(text)
    stop = offsets[end - 1] + 1
    while stop < len(text) and unicodedata.combining(text[stop]):
        stop += 1
    return offsets[start], stop


_normalise_chunk = lru_cache(maxsize=4096)(normalise)


def _chunks(text: str) -> list[tuple[int, str]]:
    """Cut before every character that starts a new combining sequence."""
    chunks: list[tuple[int, str]] = []
    for index, character in enumerate(text):
        joins = unicodedata.combining(character) or _CONTINUES.match(character)
        if joins and chunks and not chunks[-1][1].isspace():
            chunks[-1] = (chunks[-1][0], chunks[-1][1] + character)
        else:
            chunks.append((index, character))
    return chunks
