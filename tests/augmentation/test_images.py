"""Changed images, and the pages that move with them."""

import random

import numpy as np
import pytest
from augmented_shop import LINES, page
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from kdsl.augmentation.pages import moved_page, plan_size
from kdsl.augmentation.plan import MOST_LOST, Plan, draw_plan
from kdsl.augmentation.rendering import jpeg, render
from kdsl.fields.sidecar import OcrLine, OcrPage

SEEDS = st.integers(0, 100_000)


def drawn(box: tuple[float, ...], size: tuple[int, int]) -> Image.Image:
    """A green page with a red box."""
    image = Image.new("RGB", size, (0, 120, 0))
    ImageDraw.Draw(image).rectangle(box, fill=(250, 0, 0))
    return image


def red_box(image: Image.Image) -> tuple[int, int, int, int]:
    pixels = np.asarray(image).astype(int)
    ys, xs = np.nonzero((pixels[:, :, 0] > 125) & (pixels[:, :, 1] < 90))
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


def one_line(box: tuple[float, ...], size: tuple[int, int]) -> OcrPage:
    return OcrPage("a.png", size, (OcrLine("红", 0.9, box),))


GEOMETRY = st.builds(
    lambda left, top, right, bottom, angle, scale: Plan(
        crop=(left, top, 1 - right, 1 - bottom), angle=angle, scale=scale
    ),
    *[st.floats(0, 0.12)] * 4,
    st.floats(-6, 6),
    st.floats(0.5, 1),
)


@given(GEOMETRY, st.floats(0.3, 0.5), st.floats(0.3, 0.5))
def test_boxes_move_with_their_pixels(plan, x, y):
    size = 400, 600
    box = (x * 400, y * 600, x * 400 + 60, y * 600 + 30)
    image = render(plan, drawn(box, size))
    moved = moved_page(plan, one_line(box, size), "b.jpg")
    assert moved.size == image.size == plan_size(plan, size)
    assert moved.lines[0].box == pytest.approx(red_box(image), abs=2.5)


def test_no_plan_mirrors():
    """What stands left of the middle and above it still does."""
    box = (40, 60, 120, 90)
    for seed in range(60):
        image = render(draw_plan(random.Random(seed), one_line(box, (400, 600)), [0]), drawn(box, (400, 600)))
        _, _, x1, y1 = red_box(image)
        assert x1 < image.width / 2
        assert y1 < image.height / 2


@given(SEEDS, st.sets(st.integers(0, 8)))
def test_spared_lines_are_on_the_copy(seed, spared):
    before = page("a.png", seed)
    after = moved_page(draw_plan(random.Random(seed), before, sorted(spared)), before, "b.jpg")
    assert {before.lines[index].text for index in spared} <= {line.text for line in after.lines}


@given(SEEDS)
def test_most_of_a_page_stays_and_every_line_lies_on_it(seed):
    before = page("a.png", seed)
    after = moved_page(draw_plan(random.Random(seed), before), before, "b.jpg")
    texts = [line.text for line in after.lines]
    # Turning may push another line over the edge.
    assert sum(map(len, texts)) >= (1 - MOST_LOST) * sum(map(len, LINES)) - 2 * max(map(len, LINES))
    for line in after.lines:
        x0, y0, x1, y1 = line.box
        assert 0 <= x0 < x1 <= after.size[0]
        assert 0 <= y0 < y1 <= after.size[1]


@given(SEEDS)
def test_no_line_is_cut_in_two_by_cropping_or_covering(seed):
    before = page("a.png", seed)
    plan = draw_plan(random.Random(seed), before)
    for line in before.lines:
        box = [line.box[0] / 300, line.box[1] / 600, line.box[2] / 300, line.box[3] / 600]
        for x0, y0, x1, y1 in (*plan.covered, *_outside(plan)):
            width, height = min(x1, box[2]) - max(x0, box[0]), min(y1, box[3]) - max(y0, box[1])
            share = max(width, 0) * max(height, 0) / ((box[2] - box[0]) * (box[3] - box[1]))
            assert share < 0.02 or share > 0.98


def _outside(plan: Plan) -> list[tuple[float, float, float, float]]:
    x0, y0, x1, y1 = plan.crop
    return [(0, 0, x0, 1), (x1, 0, 1, 1), (0, 0, 1, y0), (0, y1, 1, 1)]


@given(SEEDS)
def test_text_stays_readable(seed):
    """Half of the lines are 12 pixels high at least, if they were."""
    before = page("a.png", seed)
    assert 24 * draw_plan(random.Random(seed), before).scale >= 11.99


@given(SEEDS)
def test_every_copy_has_an_image_of_its_own(seed):
    assert draw_plan(random.Random(seed), None).operations
    assert draw_plan(random.Random(seed), page("a.png"), geometry=False).operations


def test_covered_lines_are_gone_and_cropped_ones_too():
    before = OcrPage("a", (100, 100), (OcrLine("上", 1, (10, 2, 40, 8)), OcrLine("中", 1, (10, 45, 40, 55))))
    assert [line.text for line in moved_page(Plan(crop=(0, 0.1, 1, 1)), before, "b").lines] == ["中"]
    assert [line.text for line in moved_page(Plan(covered=((0, 0.4, 0.5, 0.6),)), before, "b").lines] == ["上"]


def test_the_same_plan_gives_the_same_bytes():
    image = drawn((10, 10, 90, 40), (200, 300))
    for seed in range(20):
        plan = draw_plan(random.Random(seed), None)
        assert jpeg(plan, image) == jpeg(plan, image)
    assert len({draw_plan(random.Random(seed), None).digest for seed in range(20)}) == 20


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 2)])
def test_images_of_any_size_can_be_changed(size):
    for seed in range(30):
        assert jpeg(draw_plan(random.Random(seed), None), Image.new("RGB", size)).startswith(b"\xff\xd8")
