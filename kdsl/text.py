"""One normalisation for mining, engine, highlighting and duplicate checks, with offsets back to the original text."""

import re
import unicodedata

_CJK = "\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_SPACE_IN_CJK = re.compile(rf"(?<=[{_CJK}]) (?=[{_CJK}])")
_CONTINUES = re.compile("[\u1160-\u11ff]")


def normalise(text: str) -> str:
    """The form in which terms are compared.

    NFKC (full-width forms become ASCII), case-folded, invisible characters dropped, lone surrogates replaced by U+FFFD,
    white space runs shortened to one space, and none between two CJK characters. Idempotent; the result holds no newline.
    """
    if text.isascii():
        text = _INVISIBLE.sub("", text).lower()
    else:
        text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", text))
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _SPACES.sub(" ", text)
    if " " in text:
        text = _SPACE_IN_CJK.sub("", text).strip()
    return text


def original_offsets(text: str) -> list[int]:
    """For every character of `normalise(text)` the index of the character of `text` it came from, then `len(text)`.

    A span [i, j) of the normalised text is text[offsets[i] : offsets[j - 1] + 1] (see `original_span`).
    """
    target = normalise(text)
    offsets: list[int] = []
    chunks = _chunks(text)
    position = 0
    for start, chunk in chunks:
        for character in normalise(chunk) or (" " if chunk.isspace() else ""):
            # Spaces are dropped at the ends, in runs and inside CJK: skip those the normalised text does not have.
            if position < len(target) and target[position] == character:
                offsets.append(start)
                position += 1
    if position < len(target):  # a composition across chunks: rare; fall back to proportional positions
        offsets = [index * len(text) // len(target) for index in range(len(target))]
    return [*offsets, len(text)]


def original_span(text: str, offsets: list[int], start: int, end: int) -> tuple[int, int]:
    """The span of `text` that the span [start, end) of its normalised form came from."""
    stop = offsets[end - 1] + 1
    while stop < len(text) and unicodedata.combining(text[stop]):
        stop += 1
    return offsets[start], stop


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
