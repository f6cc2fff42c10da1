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

    def select(self, indices: Sequence[int]) -> "Normalised":
        return Normalised([self.texts[i] for i in indices], [self.forms[i] for i in indices], self.aligned)


class FieldText:
    """A text field of one sample: `text` is its segments, normalised and joined by newlines.

    No normalised term holds a newline, so no match crosses two segments.
    """

    __slots__ = ("_aligned", "_segments", "_texts", "_turns", "pieces", "text")

    def __init__(self, said: Normalised, turns: Sequence[int] = (), segments: Sequence[Segment] = ()) -> None:
        """`said.texts[k]` is the text of the turn `turns[k]` or else of `segments[k]`."""
        self.text = "\n".join(said.forms)
        self._aligned = said.aligned
        self._texts = said.texts
        self._turns = turns
        self._segments = segments
        self.pieces: tuple[Piece, ...] | None = None
        """What `kdsl.fields.pieces` made of it, once somebody asked."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(self._segments) or tuple(map(Segment, self._texts, self._turns))

    def place(self, start: int, end: int) -> Place:
        """The original place of the span [start, end) of `text`; the span must lie inside one segment."""
        text = self.text
        index = text.count("\n", 0, start)
        # Segments of turns are needed for few of many texts, so made late.
        segment = Segment(self._texts[index], self._turns[index]) if self._turns else self._segments[index]
        offset = text.rfind("\n", 0, start) + 1
        if self._aligned:
            return segment, (start - offset, end - offset)
        return segment, original_span(segment.text, start - offset, end - offset)
