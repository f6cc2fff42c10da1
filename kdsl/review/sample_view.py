"""A sample as the page shows it: its turns cut at the evidence, its images with boxes."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kdsl.fields import ZONES
from kdsl.fields.sidecar import Box, Sidecars
from kdsl.fields.table import last_user_turn, middle
from kdsl.rules.evidence import Evidence
from kdsl.rules.wording import Language, condition_words
from kdsl.sample import Sample

Piece = tuple[str, bool]
"""Text, and whether it is evidence."""
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class ShownTurn:
    role: str
    field: str
    """The field that a new rule about a selection in this turn reads."""
    pieces: tuple[Piece, ...]
    images: int


@dataclass(frozen=True)
class ShownLine:
    """A line of text on an image; x, y, width and height in the units of the image's `size`."""

    text: str
    x: float
    y: float
    width: float
    height: float
    marked: bool
    zone: str
    """ocr.top or ocr.bottom where it lies in one of these, else empty."""


@dataclass(frozen=True)
class ShownImage:
    address: str
    """Opaque id."""
    size: tuple[int, int] | None
    lines: tuple[ShownLine, ...]
    caption: tuple[Piece, ...]
    found: tuple[tuple[Piece, ...], ...]
    """The lines of text with evidence in them, cut at it."""


@dataclass(frozen=True)
class ShownSample:
    position: int
    sample: Sample
    turns: tuple[ShownTurn, ...]
    images: tuple[ShownImage, ...]
    others: tuple[str, ...]
    """Evidence that has no place in the sample, in words."""
    marks: int


def show_sample(
    position: int,
    sample: Sample,
    sidecars: Sidecars,
    image_address: Callable[[str], str],
    evidence: Sequence[Evidence],
    language: Language,
) -> ShownSample:
    """`evidence` of all rules of interest; empty shows the sample as it is."""
    turns: dict[int, Spans] = defaultdict(list)
    lines: dict[tuple[str, int], Spans] = defaultdict(list)
    captions: dict[str, Spans] = defaultdict(list)
    others = []
    for each in evidence:
        if each.span is None:
            value = "" if each.value is None else f" ({each.value:.3g})"
            probability = "" if each.probability is None else f" ({each.probability:.2f})"
            others.append(condition_words(each.condition, language) + value + probability)
        elif each.turn is not None:
            turns[each.turn].append(each.span)
        elif each.image is not None and each.line is not None:
            lines[each.image, each.line].append(each.span)
        elif each.image is not None:
            captions[each.image].append(each.span)
    last = last_user_turn(sample)
    return ShownSample(
        position,
        sample,
        tuple(
            ShownTurn(turn.role, "last_user" if i == last else turn.role, _cut(turn.text, turns[i]), len(turn.images))
            for i, turn in enumerate(sample.turns)
        ),
        tuple(_show_image(image, sidecars, image_address, lines, captions[image]) for image in sample.images),
        tuple(dict.fromkeys(others)),
        len(turns) + len(lines) + len(captions),
    )


def _show_image(
    image: str,
    sidecars: Sidecars,
    image_address: Callable[[str], str],
    marked: dict[tuple[str, int], Spans],
    caption: Spans,
) -> ShownImage:
    page = sidecars.ocr.get(image)
    lines = () if page is None else tuple(
        ShownLine(line.text, *_rectangle(line.box), (image, i) in marked, _zone(line.box, page.size[1]))
        for i, line in enumerate(page.lines)
    )  # fmt: skip
    text = sidecars.captions.get(image, "")
    found = () if page is None else tuple(
        _cut(line.text, marked[image, i]) for i, line in enumerate(page.lines) if (image, i) in marked
    )  # fmt: skip
    return ShownImage(image_address(image), None if page is None else page.size, lines, _cut(text, caption), found)


def _rectangle(box: Box) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return round(x0, 1), round(y0, 1), round(max(x1 - x0, 1.0), 1), round(max(y1 - y0, 1.0), 1)


def _cut(text: str, spans: Spans) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    done = 0
    for start, end in sorted(spans):
        start = max(start, done)
        if end <= start:
            continue
        if start > done:
            pieces.append((text[done:start], False))
        pieces.append((text[start:end], True))
        done = end
    if done < len(text):
        pieces.append((text[done:], False))
    return tuple(pieces)


def _zone(box: Box, height: float) -> str:
    """ocr.top or ocr.bottom where a line lies there, else empty."""
    share = middle(box, height)
    return "ocr.top" if share < ZONES["top"][1] else "ocr.bottom" if share >= ZONES["bottom"][0] else ""
