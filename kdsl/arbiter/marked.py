"""The text of a sample cut at the evidence in it, for whoever shows a decision."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.fields.field_text import Segment
from kdsl.rules.sight import Region
from kdsl.sample import Sample

_LONGEST = 300
"""Characters of a text shown without evidence, and around it."""

Span = tuple[int, int]
Place = tuple[int | None, str | None, int | None, str | None]
"""Turn, image, OCR line and sound that a span is in."""


class Found(NamedTuple):
    """What one rule found in a text: the characters [start, end)."""

    span: Span
    hit: WeighedHit
    segment: Segment


class Piece(NamedTuple):
    """A stretch of text, and the rules whose evidence it is; none for what lies between."""

    text: str
    hits: tuple[WeighedHit, ...]


def found_by_place(hits: Iterable[WeighedHit]) -> dict[Place, list[Found]]:
    """All evidence that is a stretch of text, by where it stands."""
    found: dict[Place, list[Found]] = {}
    for hit in hits:
        for evidence in hit.evidence:
            if evidence.place is not None:
                segment, span = evidence.place
                place = segment.turn, segment.image, segment.line, segment.audio
                found.setdefault(place, []).append(Found(span, hit, segment))
    return found


def seen_on(image: str, hits: Iterable[WeighedHit]) -> dict[tuple[Region, str], list[WeighedHit]]:
    """What rules see on an image: the region and the words for what is there, with the rules that see it."""
    found: dict[tuple[Region, str], list[WeighedHit]] = {}
    for hit in hits:
        for evidence in hit.evidence:
            if evidence.region is not None and evidence.region.image == image and evidence.seen is not None:
                found.setdefault((evidence.region, evidence.seen), []).append(hit)
    return found


def sounds_of(sample: Sample, turn: int | None) -> list[str]:
    """The sounds of one of the sample's turns; for None those that belong to no turn."""
    if turn is not None:
        return list(sample.turns[turn].audio)
    placed = {audio for each in sample.turns for audio in each.audio}
    return [audio for audio in sample.audio if audio not in placed]


def marked_pieces(text: str, found: Sequence[Found]) -> list[Piece]:
    """`text` on one line, cut at what was found; long stretches in which nothing was are shortened."""
    pieces = []
    position = 0
    for (start, end), hits in _merged(found):
        pieces.append(Piece(_shortened(text[position:start], position > 0, True), ()))
        pieces.append(Piece(one_line(text[start:end]), hits))
        position = end
    pieces.append(Piece(_shortened(text[position:], position > 0, False), ()))
    return [piece for piece in pieces if piece.text]


def _merged(found: Sequence[Found]) -> list[tuple[Span, tuple[WeighedHit, ...]]]:
    merged: list[tuple[Span, tuple[WeighedHit, ...]]] = []
    for (start, end), hit, _ in sorted(found, key=lambda each: each.span):
        if merged and start <= merged[-1][0][1]:
            (first, last), hits = merged[-1]
            merged[-1] = (first, max(last, end)), hits if hit in hits else (*hits, hit)
        else:
            merged.append(((start, end), (hit,)))
    return merged


def _shortened(text: str, after: bool, before: bool) -> str:
    """At most `_LONGEST` characters next to the marks on either side."""
    limit = _LONGEST * (1 + (after and before))
    if len(text) <= limit:
        return one_line(text)
    head = text[:_LONGEST] if after or not before else ""
    tail = text[-_LONGEST:] if before else ""
    return one_line(f"{head} … {tail}")


def one_line(text: str) -> str:
    """With spaces for line breaks."""
    return text.replace("\r", " ").replace("\n", " ")
