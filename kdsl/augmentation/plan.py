"""What is done to an image: drawn from a source of randomness before any pixel is looked at."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from kdsl.fields.sidecar import Box, OcrPage

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
"""Nothing cut away."""
MOST_CROPPED, MOST_CROPPED_PHOTO = 0.08, 0.12
"""Share of width or height that may be cut away on each side: of a page with text, and of a picture without."""
MOST_TURNED, MOST_TURNED_PHOTO = 1.5, 6.0
"""Degrees."""
MOST_COVERED, MOST_COVERED_PHOTO = 0.05, 0.1
"""Share of the page that one covered region may take."""
MOST_LOST = 0.1
"""Share of a page's characters that may be cut away or covered: what a page is stands in many of its lines."""
LEAST_SCALE = 0.5
UNCHANGED_QUALITY = 92
"""Of a JPEG in which nobody sees that it is one."""
READABLE = 12.0
"""Pixels: the resolution is never lowered so far that half of the lines are lower than this."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Applied in this order. Boxes and shares are of the page's width and height, before anything is done."""

    covered: tuple[Box, ...] = ()
    crop: Box = WHOLE
    """What is left: x0, y0, x1, y1."""
    angle: float = 0.0
    """Degrees, counter-clockwise about the middle of what is left; the size stays."""
    scale: float = 1.0
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of red, green and blue."""
    blur: float = 0.0
    """Radius in pixels, of a box."""
    noise: float = 0.0
    """Standard deviation, of values 0 to 255."""
    quality: int = UNCHANGED_QUALITY
    """Of the JPEG."""
    seed: int = 0
    """Of the noise and the colours of covered regions."""

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of what is done."""
        done = {
            "covered": bool(self.covered),
            "cropped": self.crop != WHOLE,
            "turned": self.angle != 0,
            "resolution": self.scale != 1,
            "brightness": (self.brightness, self.contrast) != (1.0, 1.0),
            "colour": (self.saturation, self.tint) != (1.0, (1.0, 1.0, 1.0)),
            "blurred": self.blur > 0,
            "noise": self.noise > 0,
            "jpeg": self.quality < UNCHANGED_QUALITY,
        }
        return tuple(name for name, is_done in done.items() if is_done)

    @property
    def digest(self) -> str:
        """16 hex digits that tell plans apart."""
        return hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()[:16]


REENCODED = Plan(quality=UNCHANGED_QUALITY - 1)
"""The least that is done to an image, so that every copy has images of its own."""


def draw_plan(source: random.Random, page: OcrPage | None, spared: Sequence[int] = (), geometry: bool = True) -> Plan:
    """A plan under the limits above. No line is cut in two: it goes as a whole, and those of `spared` never go.

    `page` is what OCR found, None where nothing is known; `spared` are indices of its lines. Without `geometry` every
    line stays in its place.
    """
    lines = [] if page is None else [_share(line.box, page.size) for line in page.lines]
    lengths = [] if page is None else [len(line.text) for line in page.lines]
    photo = not lines
    heights = [] if page is None else [line.box[3] - line.box[1] for line in page.lines]
    height = median(heights) if heights else None
    loss = _Loss(lines, lengths, frozenset(spared))

    crop: Box = WHOLE
    covered: tuple[Box, ...] = ()
    drawn = [source.random() for _ in range(8)]
    inner = random.Random(source.getrandbits(64))
    if geometry and drawn[0] < 0.5:
        crop = _draw_crop(inner, loss, MOST_CROPPED_PHOTO if photo else MOST_CROPPED)
    if geometry and drawn[1] < 0.3:
        covered = _draw_covered(inner, loss, crop, MOST_COVERED_PHOTO if photo else MOST_COVERED)
    most = MOST_TURNED_PHOTO if photo else MOST_TURNED
    least_scale = max(LEAST_SCALE, min(1.0, READABLE / height)) if height else LEAST_SCALE

    def shade() -> float:
        return _rounded(inner.uniform(0.92, 1.08), drawn[5] < 0.5, 1.0)

    plan = Plan(
        covered=covered,
        crop=crop,
        angle=_rounded(inner.uniform(-most, most), geometry and drawn[2] < 0.3, 0.0),
        scale=_rounded(inner.uniform(least_scale, 1.0), drawn[3] < 0.4, 1.0),
        brightness=_rounded(inner.uniform(0.75, 1.2), drawn[4] < 0.5, 1.0),
        contrast=_rounded(inner.uniform(0.8, 1.2), drawn[4] < 0.5, 1.0),
        saturation=_rounded(inner.uniform(0.6, 1.3), drawn[5] < 0.5, 1.0),
        tint=(shade(), shade(), shade()),
        blur=_rounded(inner.uniform(0.3, min(1.2, (height or 24.0) / 24)), drawn[6] < 0.3, 0.0),
        noise=_rounded(inner.uniform(2.0, 10.0), drawn[7] < 0.3, 0.0),
        quality=inner.randint(40, 90) if inner.random() < 0.6 else UNCHANGED_QUALITY,
        seed=inner.getrandbits(32),
    )
    return plan if plan.operations else REENCODED


@dataclass
class _Loss:
    """The lines of a page (boxes as shares), and which of them a plan has cut away or covered."""

    lines: list[Box]
    lengths: list[int]
    spared: frozenset[int]
    lost: frozenset[int] = frozenset()

    def allows(self, lines: frozenset[int]) -> bool:
        """Whether these lines may go too; if so they are gone."""
        lost = self.lost | lines
        if lost & self.spared or sum(self.lengths[i] for i in lost) > MOST_LOST * sum(self.lengths):
            return False
        self.lost = lost
        return True


def _draw_crop(source: random.Random, loss: _Loss, most: float) -> Box:
    left, top, right, bottom = (source.uniform(0, most) for _ in range(4))
    left = min([left, *(box[0] for box in loss.lines)])
    right = min([right, *(1 - box[2] for box in loss.lines)])
    top = _edge(top, [(box[1], box[3]) for box in loss.lines], loss)
    bottom = _edge(bottom, [(1 - box[3], 1 - box[1]) for box in loss.lines], loss)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), 1 - max(right, 0), 1 - max(bottom, 0)
    return round(x0, 4), round(y0, 4), round(x1, 4), round(y1, 4)


def _edge(edge: float, spans: Sequence[tuple[float, float]], loss: _Loss) -> float:
    """How deep to cut without cutting through a line: `edge` or less. `spans` are the lines' distances from it."""
    while edge > 0:
        through = [start for start, end in spans if start < edge < end]
        if through:
            edge = min(through)
        elif loss.allows(frozenset(i for i, (_, end) in enumerate(spans) if end <= edge)):
            return edge
        else:
            edge = min(max((start for start, _ in spans if start < edge), default=0.0), edge * 0.99)
    return 0.0


def _draw_covered(source: random.Random, loss: _Loss, crop: Box, most: float) -> tuple[Box, ...]:
    """Up to two regions; each grows until it covers every line that it touches, or is given up."""
    found = []
    for _ in range(source.choice((1, 1, 2))):
        area = source.uniform(0.2, 1.0) * most
        width = min(0.9, (area * source.uniform(0.7, 3.0)) ** 0.5)
        height = area / width
        x0, y0 = source.uniform(0, 1 - width), source.uniform(0, max(0.0, 1 - height))
        box, touched = (x0, y0, x0 + width, min(1.0, y0 + height)), frozenset[int]()
        while (now := frozenset(i for i, line in enumerate(loss.lines) if _touch(box, line))) != touched:
            touched = now
            parts = [box, *(loss.lines[i] for i in touched)]
            box = (
                min(p[0] for p in parts), min(p[1] for p in parts), max(p[2] for p in parts), max(p[3] for p in parts),
            )  # fmt: skip
        inside = box[1] >= crop[1] and box[3] <= crop[3]
        if inside and (box[2] - box[0]) * (box[3] - box[1]) <= 2 * most and loss.allows(touched):
            left, top, right, bottom = (round(value, 4) for value in box)
            found.append((left, top, right, bottom))
    return tuple(found)


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _share(box: Box, size: tuple[int, int]) -> Box:
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]


def _rounded(value: float, done: bool, otherwise: float) -> float:
    return round(value, 3) if done else otherwise
