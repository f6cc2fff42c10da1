"""The pieces of a text field that a meaning is compared with: turns, transcripts, their sentences, OCR lines and
captions."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from kdsl.fields.field_text import FieldText, Place, Segment
from kdsl.text import normalise

_LINK_OR_END = re.compile(r"(?:https?://|www\.)[!-~]+|([。！？!?；;\n]+|\.+(?=\s))")
"""A link, whose dots and question marks end nothing, or (group 1) what ends a sentence; 3.5 has no such end."""
_LETTER = re.compile(r"[^\W\d_]")


class Piece(NamedTuple):
    """A turn or a transcript, a sentence of one that has several, an OCR line or a caption."""

    text: str
    """Normalised."""
    place: Place
    """Where it stands in the original text."""


def pieces(field: FieldText) -> "tuple[Piece, ...]":
    """The pieces of a field in their order, a turn before its sentences; none without a visible character.

    The sentences of a turn or transcript are those with a letter in them.
    """
    if field.pieces is None:
        field.pieces = tuple(_pieces(field))
    return field.pieces


def _pieces(field: FieldText) -> Iterator[Piece]:
    if not field.text:
        return
    for segment, form in zip(field.segments, field.text.split("\n"), strict=True):
        if not form:
            continue
        yield Piece(form, (segment, (0, len(segment.text))))
        if segment.turn is not None or segment.audio is not None:
            yield from _sentences(segment, form)


def sentences(text: str) -> list[str]:
    """The sentences of a text, as written."""
    return [text[start:end] for start, end in _spans(text)]


def _sentences(segment: Segment, form: str) -> Iterator[Piece]:
    """Those of a turn whose normalised text is `form`; none where that is a single sentence."""
    for start, end in _spans(segment.text):
        sentence = normalise(segment.text[start:end])
        if sentence != form and _LETTER.search(sentence):
            yield Piece(sentence, (segment, (start, end)))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence of a text stands, without white space around it."""
    start = 0
    ends = [match.end() for match in _LINK_OR_END.finditer(text) if match[1]]
    for end in [*ends, len(text)]:
        sentence = text[start:end]
        first = start + len(sentence) - len(sentence.lstrip())
        if first < end:
            yield first, start + len(sentence.rstrip())
        start = end
