"""Long and wide pages in tiles: every line of the page once, in its place."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kdsl.fields.ocr_tiles import READ_AT_ONCE, Tile, put_together, tiles_of
from kdsl.fields.sidecar import OcrLine

WIDTH, HEIGHT = 1000, 12_000


def tiles(size: tuple[int, int]) -> list[Tile]:
    return tiles_of(Image.new("1", size).convert("RGB"))[1]


@pytest.mark.parametrize(
    "size", [(1080, 24_000), (24_000, 1080), (5, 1500), (1500, 5), (20_000, 10), (1, 65_535), (320, 1601)]
)
def test_tiles_cover_the_page_and_are_of_a_shape_that_is_read_at_once(size):
    page, cut = tiles_of(Image.new("1", size).convert("RGB"))
    assert cut[0].start == 0
    assert cut[-1].stop == max(page.size)
    assert all(before.stop > after.start for before, after in pairwise(cut))
    for tile in cut:
        part = tile.cut_from(page)
        assert max(part.size) <= READ_AT_ONCE * min(part.size)
        assert min(part.size) >= min(320, max(size))


def read(tile: Tile, lines: list[OcrLine], jitter: float) -> list[OcrLine]:
    """What a recogniser finds on the tile of a tall page: of lines at its edges what is left of them, garbled."""
    found = []
    for line in lines:
        x0, y0, x1, y1 = line.box
        top, bottom = max(y0, tile.start), min(y1, tile.stop)
        if bottom - top > 5:
            text = line.text if (top, bottom) == (y0, y1) else "?"
            found.append(OcrLine(text, 0.9, (x0 + jitter, top + jitter, x1 + jitter, bottom + jitter)))
    return found


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.floats(-4, 4), st.integers(20, 200))
def test_no_line_of_a_long_page_is_lost_or_read_twice(gaps, jitter, tall):
    lines, top = [], 0
    for number, gap in enumerate(gaps):
        top += gap
        if top + tall > HEIGHT:
            break
        lines.append(OcrLine(f"{number}", 1.0, (50, top, 600, top + tall)))
        top += tall
    found = put_together([(tile, read(tile, lines, jitter)) for tile in tiles((WIDTH, HEIGHT))])
    assert sorted(line.text for line in found) == sorted(line.text for line in lines)


def test_lines_side_by_side_stay_two():
    lines = [OcrLine("左", 1.0, (0, 2000, 400, 2050)), OcrLine("右", 1.0, (420, 2000, 900, 2050))]
    found = put_together([(tile, read(tile, lines, 0)) for tile in tiles((WIDTH, HEIGHT))])
    assert {line.text for line in found} == {"左", "右"}


@given(st.text("abcdefghijklmnopqrstuvwxyz退款尺码", min_size=1, max_size=120), st.integers(0, 3000), st.booleans())
def test_a_line_that_goes_on_over_a_wide_page_is_whole(text, left, halves):
    """Letters are 80 pixels wide; of one that a tile's edge cuts the larger half is read as ? or not at all."""
    found = []
    for tile in tiles((14_000, 400)):
        pieces = []
        for i, letter in enumerate(text):
            x0, x1 = max(left + 80 * i, tile.start), min(left + 80 * (i + 1), tile.stop)
            if x1 - x0 >= 70 or (x1 - x0 >= 40 and halves):
                pieces.append((x0, x1, letter if x1 - x0 >= 70 else "?"))
        seen = "".join(piece for _, _, piece in pieces)
        found.append((tile, [OcrLine(seen, 0.9, (pieces[0][0], 100, pieces[-1][1], 200))] if pieces else []))
    [line] = put_together(found)
    if len(set(text)) == len(text):  # else a repeated stretch may be joined one repetition off
        assert line.text == text
    assert line.box == pytest.approx((left, 100, left + 80 * len(text), 200), abs=10)
