"""Pages that are too long or wide to be read at once: cut into tiles that overlap, and their lines put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import eq
from typing import TYPE_CHECKING

from kdsl.data.images import with_margin
from kdsl.fields.sidecar import Box, OcrLine

if TYPE_CHECKING:
    from PIL.Image import Image

READ_AT_ONCE = 5.0
"""A page with one side more than so many times the other is read in tiles: shrunk, its text would be too small."""
SHORTEST_SIDE = 320
"""Pixels, with a margin, of a page in tiles: RapidOCR enlarges the short side to 736, and the long one with it."""
_LENGTH, _OVERLAP = 2.5, 0.75
"""Of a tile along the page, in short sides: a line of text that is no taller than the overlap is whole in one tile."""
_SAME = 0.5
"""Two lines are one when they share this part of the smaller one."""

_Found = tuple[float, OcrLine]
"""A line, and how far from the nearest edge it lies at which its tile was cut out."""


@dataclass(frozen=True)
class Tile:
    """The stretch [start, stop) of a page, along its height or its width."""

    start: int
    stop: int
    tall: bool
    """Whether the page is cut along its height."""

    def cut_from(self, page: "Image") -> "Image":
        left, top = (0, self.start) if self.tall else (self.start, 0)
        right, bottom = (page.width, self.stop) if self.tall else (self.stop, page.height)
        return page.crop((left, top, right, bottom))

    def on_page(self, line: OcrLine, scale: tuple[float, float]) -> OcrLine:
        """The place on the page of a line found on a picture of the tile, which is `scale` times as wide and high."""
        left, top = (0, self.start) if self.tall else (self.start, 0)
        x0, y0, x1, y1 = line.box
        across, down = scale
        return replace(line, box=(x0 * across + left, y0 * down + top, x1 * across + left, y1 * down + top))


def read_in_tiles(size: tuple[int, int]) -> bool:
    return max(size) > READ_AT_ONCE * min(size)


def tiles_of(page: "Image") -> "tuple[Image, list[Tile]]":
    """The page, with a margin where it is narrow, and the tiles to read: one where that was all it needed."""
    page = with_margin(page, SHORTEST_SIDE)
    short, long = min(page.size), max(page.size)
    tall = page.height > page.width
    return page, list(_stretches(short, long, tall)) if read_in_tiles(page.size) else [Tile(0, long, tall)]


def _stretches(short: int, long: int, tall: bool) -> Iterator[Tile]:
    length, step = round(_LENGTH * short), round((_LENGTH - _OVERLAP) * short)
    for start in range(0, long, step):
        yield Tile(start, min(start + length, long), tall)
        if start + length >= long:
            return


def put_together(found: Sequence[tuple[Tile, Sequence[OcrLine]]]) -> list[OcrLine]:
    """The lines of all tiles, in places of the page: each once, and whole where it goes on from tile to tile."""
    finished: list[OcrLine] = []
    before: list[_Found] = []
    for number, (tile, lines) in enumerate(found):
        new = []
        for line in lines:
            one = _distance(line.box, tile, number == 0, number == len(found) - 1), line
            for other in list(before):
                if (same := _one_of(other, one, tile.tall)) is not None:
                    before.remove(other)
                    one = same
            new.append(one)
        finished += [line for _, line in before]
        before = new
    return finished + [line for _, line in before]


def _distance(box: Box, tile: Tile, first: bool, last: bool) -> float:
    """From the nearest edge at which the tile was cut out of the page."""
    start, stop = (box[1], box[3]) if tile.tall else (box[0], box[2])
    distances = [float("inf")]
    if not first:
        distances.append(start - tile.start)
    if not last:
        distances.append(tile.stop - stop)
    return min(distances)


def _one_of(first: _Found, second: _Found, tall: bool) -> _Found | None:
    """What two lines of neighbouring tiles are if they are one, else None."""
    a, b = first[1].box, second[1].box
    shared = [min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis]) for axis in (0, 1)]
    if min(shared) <= 0:
        return None
    least = [min(a[axis + 2] - a[axis], b[axis + 2] - b[axis]) for axis in (0, 1)]
    if tall:
        same = shared[0] * shared[1] > _SAME * least[0] * least[1]
        return max(first, second, key=lambda found: (found[0], _area(found[1].box))) if same else None
    if shared[1] < _SAME * least[1]:
        return None
    unsure = least[1] / 10
    if b[0] - unsure <= a[0] and a[2] <= b[2] + unsure and b[2] - b[0] > a[2] - a[0]:
        return second
    if a[0] - unsure <= b[0] and b[2] <= a[2] + unsure:
        return first
    left, right = (first[1], second[1]) if a[0] < b[0] else (second[1], first[1])
    return min(first[0], second[0]), _joined(left, right, shared[0])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _joined(left: OcrLine, right: OcrLine, shared: float) -> OcrLine:
    """One line of two that both hold what stands on `shared` pixels, with what is in the middle there from either."""
    widths = [line.box[2] - line.box[0] for line in (left, right)]
    expected = shared * (len(left.text) + len(right.text)) / sum(widths)
    unsure = 2 + expected / 3  # letters differ in width, and one that was cut may be read as none or two
    longest = min(len(left.text), len(right.text), int(expected + unsure))
    counts = range(max(int(expected - unsure), 1), longest + 1)
    count = max(counts, key=lambda n: (_alike(left.text[-n:], right.text[:n]), -abs(n - expected)), default=0)
    text = left.text[: len(left.text) - count + count // 2] + right.text[count // 2 :]
    x0, y0, x1, y1 = zip(left.box, right.box, strict=True)
    return OcrLine(text, min(left.score, right.score), (min(x0), min(y0), max(x1), max(y1)))


def _alike(end: str, start: str) -> int:
    """At how many places both have the same character."""
    return sum(map(eq, end, start))
