"""A sample as the page shows it: its turns cut at the evidence, its images with boxes and regions, its sounds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kdsl.arbiter.marked import sounds_of
from kdsl.fields import ZONES
from kdsl.fields.sidecar import Box, Sidecars
from kdsl.fields.table import SampleFields, last_user_turn, middle
from kdsl.review.media import Media, SoundFile
from kdsl.rules.evidence import Evidence
from kdsl.rules.meaning import Nearest
from kdsl.rules.wording import COLOUR_NAMES, KIND_NAMES, ZONE_NAMES, Language, condition_words
from kdsl.sample import Sample


class Piece(NamedTuple):
    """A part of a text."""

    text: str
    marked: bool
    """Whether it is evidence."""
    note: str = ""
    """What marking it does not say: how near in meaning it is, and to which wording, or how large its line is."""


Spans = list[tuple[int, int, str]]
"""Begin and end of what is evidence, and what `Piece.note` says of it."""


@dataclass(frozen=True)
class ShownTurn:
    role: str
    field: str
    """The field that a new rule about a selection in this turn reads."""
    pieces: tuple[Piece, ...]
    images: int
    sounds: "tuple[ShownSound, ...]" = ()


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
class ShownRegion:
    """A zone of an image, or all of it, whose looks are evidence; in the units of the image's `size`."""

    x: float
    y: float
    width: float
    height: float
    words: str
    """What is seen there."""


@dataclass(frozen=True)
class ShownImage:
    address: str
    """Opaque id."""
    size: tuple[int, int] | None
    """None where nobody has looked at it."""
    lines: tuple[ShownLine, ...]
    regions: tuple[ShownRegion, ...]
    caption: tuple[Piece, ...]
    found: tuple[tuple[Piece, ...], ...]
    """The lines of text with evidence in them, cut at it."""


class Moment(NamedTuple):
    """Where evidence is heard."""

    seconds: float
    """From the beginning of the sound."""
    words: str


@dataclass(frozen=True)
class ShownSound:
    address: str
    """Opaque id."""
    file: SoundFile | None
    """None where there is none."""
    transcript: tuple[Piece, ...] | None
    """Cut at the evidence; None where nobody has written down what is said."""
    seconds: float
    """How long it is; 0 where that is not known."""
    moments: tuple[Moment, ...]
    """In the order of time."""


@dataclass(frozen=True)
class ShownSample:
    position: int
    sample: Sample
    turns: tuple[ShownTurn, ...]
    images: tuple[ShownImage, ...]
    sounds: tuple[ShownSound, ...]
    """Those of no turn."""
    others: tuple[str, ...]
    """Evidence that has no place in the sample, in words."""


def show_sample(
    position: int,
    sample: Sample,
    sidecars: Sidecars,
    media: Media,
    evidence: Sequence[Evidence],
    language: Language,
) -> ShownSample:
    """`evidence` of all rules of interest; empty shows the sample as it is."""
    turns: dict[int, Spans] = defaultdict(list)
    lines: dict[tuple[str, int], Spans] = defaultdict(list)
    captions: dict[str, Spans] = defaultdict(list)
    regions: dict[str, list[ShownRegion]] = defaultdict(list)
    heard: dict[str, list[Evidence]] = defaultdict(list)
    others = []
    for each in evidence:
        if each.region is not None:
            shown = ShownRegion(*_rectangle(each.region.box), _seen(each, language))
            if shown not in regions[each.region.image]:
                regions[each.region.image].append(shown)
        elif each.span is None:
            others.append(condition_words(each.condition, language) + _found(each))
        elif each.audio is not None:
            heard[each.audio].append(each)
        elif each.turn is not None:
            turns[each.turn].append((*each.span, _note(each, language)))
        elif each.image is not None and each.line is not None:
            lines[each.image, each.line].append((*each.span, _note(each, language)))
        elif each.image is not None:
            captions[each.image].append((*each.span, _note(each, language)))
    last = last_user_turn(SampleFields(sample, sidecars).heard)

    def shown_sounds(names: Iterable[str]) -> tuple[ShownSound, ...]:
        return tuple(_show_sound(name, sidecars, media, heard[name], language) for name in names)

    return ShownSample(
        position,
        sample,
        tuple(
            ShownTurn(
                turn.role,
                "last_user" if i == last else turn.role,
                _cut(turn.text, turns[i]),
                len(turn.images),
                shown_sounds(sounds_of(sample, i)),
            )
            for i, turn in enumerate(sample.turns)
        ),
        tuple(_show_image(image, sidecars, media, lines, captions[image], regions[image]) for image in sample.images),
        shown_sounds(sounds_of(sample, None)),
        tuple(dict.fromkeys(others)),
    )


def _found(evidence: Evidence) -> str:
    """What stands behind a condition whose evidence has no place: a number, a probability, or what came nearest."""
    if evidence.nearest is not None:
        return f" {_near(evidence.nearest)}"
    if evidence.probability is not None:
        return f" ({evidence.probability:.2f})"
    return "" if evidence.value is None else f" ({evidence.value:.3g})"


def _note(evidence: Evidence, language: Language) -> str:
    """See `Piece.note`; empty for terms."""
    if evidence.nearest is not None:
        return _near(evidence.nearest)
    if evidence.value is None:
        return ""
    percent = f"{100 * evidence.value:.1f}"
    return f"height {percent} %" if language == "en" else f"行高 {percent}%"


def _near(nearest: Nearest) -> str:
    """`≈ 退钱给我 (0.71)`"""
    return f"≈ {nearest.wording} ({nearest.similarity:.2f})"


def _seen(evidence: Evidence, language: Language) -> str:
    """`the top of the image: orange 41 %`, or the kind of image."""
    colour = evidence.condition.colour
    if colour is None:
        return KIND_NAMES[language][evidence.kind or ""]
    zone, name = ZONE_NAMES[language][colour.zone], COLOUR_NAMES[language][colour.colour]
    percent = f"{100 * (evidence.value or 0.0):.0f}"
    return f"{zone}: {name} {percent} %" if language == "en" else f"{zone}：{name} {percent}%"


def _show_image(
    image: str,
    sidecars: Sidecars,
    media: Media,
    marked: dict[tuple[str, int], Spans],
    caption: Spans,
    regions: list[ShownRegion],
) -> ShownImage:
    page = sidecars.ocr.get(image)
    seen = sidecars.pictures.get(image) if page is None and regions and sidecars.pictures is not None else None
    size = page.size if page is not None else None if seen is None else seen.size
    lines = () if page is None else tuple(
        ShownLine(line.text, *_rectangle(line.box), (image, i) in marked, _zone(line.box, page.size[1]))
        for i, line in enumerate(page.lines)
    )  # fmt: skip
    text = sidecars.captions.get(image, "")
    found = () if page is None else tuple(
        _cut(line.text, marked[image, i]) for i, line in enumerate(page.lines) if (image, i) in marked
    )  # fmt: skip
    return ShownImage(media.address(image), size, lines, tuple(regions), _cut(text, caption), found)


def _show_sound(
    name: str, sidecars: Sidecars, media: Media, evidence: Sequence[Evidence], language: Language
) -> ShownSound:
    transcript, address = sidecars.transcripts.get(name), media.address(name)
    if transcript is None:
        return ShownSound(address, media.sound(address), None, 0.0, ())
    spans: Spans = [(*each.span, _note(each, language)) for each in evidence if each.span is not None]
    moments = {
        Moment(each.seconds[0], transcript.text[slice(*each.span)])
        for each in evidence
        if each.span is not None and each.seconds is not None
    }
    pieces = _cut(transcript.text, spans)
    return ShownSound(address, media.sound(address), pieces, transcript.seconds, tuple(sorted(moments)))


def _rectangle(box: Box) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return round(x0, 1), round(y0, 1), round(max(x1 - x0, 1.0), 1), round(max(y1 - y0, 1.0), 1)


def _cut(text: str, spans: Spans) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    done = 0
    for start, end, note in sorted(spans):
        start = max(start, done)
        if end <= start:
            if note and pieces and note not in pieces[-1].note:
                pieces[-1] = pieces[-1]._replace(note="; ".join(filter(None, [pieces[-1].note, note])))
            continue
        if start > done:
            pieces.append(Piece(text[done:start], False))
        pieces.append(Piece(text[start:end], True, note))
        done = end
    if done < len(text):
        pieces.append(Piece(text[done:], False))
    return tuple(pieces)


def _zone(box: Box, height: float) -> str:
    """ocr.top or ocr.bottom where a line lies there, else empty."""
    share = middle(box, height)
    return "ocr.top" if share < ZONES["top"][1] else "ocr.bottom" if share >= ZONES["bottom"][0] else ""
