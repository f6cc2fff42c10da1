"""A text field of a sample: its pieces as they were written, normalised and joined, with the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kdsl.fields.sidecar import Box
from kdsl.text import normalise_lines, original_span

if TYPE_CHECKING:
    from kdsl.fields.pieces import Piece


@dataclass(slots=True)
class Segment:
    """One piece of original text that a field is made of: a turn, a transcript, an OCR line or a caption."""

    text: str
    turn: int | None = None
    """Index into `Sample.turns`."""
    image: str | None = None
    line: int | None = None
    """Index into the lines of the image's OCR page."""
    box: Box | None = None
    audio: str | None = None
    """The sound that it is said in."""


Place = tuple[Segment, tuple[int, int]]
"""Where something was found: the segment and the character span [start, end) in its original text."""


@dataclass(slots=True)
class Normalised:
    """Texts with their normalised forms, made once for all fields that the texts stand in."""

    texts: Sequence[str]
    forms: Sequence[str]
    aligned: bool
    """Whether every character of a form stands where it stood in its text; False promises nothing."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Normalised":
        joined, aligned = normalise_lines(texts)
        return cls(texts, joined.split("\n") if texts else (), aligned)


class FieldText:
    """A text field of one sample: `text` is its segments, normalised and joined by newlines.

    No normalised term holds a newline, so no match crosses two segments.
    """

    __slots__ = ("_chosen", "_said", "_segments", "pieces", "text")

    def __init__(self, said: Normalised, chosen: Sequence[int], segments: Sequence[Segment] | None = None) -> None:
        """Of the texts of `said` it is those with the indices `chosen`; text k is `segments[k]`, or else turn k."""
        forms = said.forms
        self.text = "\n".join([forms[index] for index in chosen])
        self._said = said
        self._chosen = chosen
        self._segments = segments
        self.pieces: tuple[Piece, ...] | None = None
        """What `kdsl.fields.pieces` made of it, once somebody asked."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(map(self._segment, self._chosen))

    def _segment(self, index: int) -> Segment:
        # Those of turns are needed for few of many texts, so made late.
        return Segment(self._said.texts[index], index) if self._segments is None else self._segments[index]

    def place(self, start: int, end: int) -> Place:
        """The original place of the span [start, end) of `text`; the span must lie inside one segment."""
        text = self.text
        segment = self._segment(self._chosen[text.count("\n", 0, start)])
        offset = text.rfind("\n", 0, start) + 1
        if self._said.aligned:
            return segment, (start - offset, end - offset)
        return segment, original_span(segment.text, start - offset, end - offset)
