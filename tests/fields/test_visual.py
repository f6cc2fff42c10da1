"""What is seen on one image: views, colours by zone, and whether a camera or a program made it."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kdsl.fields import COLOURS, KINDS, ZONES
from kdsl.fields.visual import SIZE, VIEWS, PictureFeatures, colours_of, picture_features


def drawn(size=(400, 800), background="white", boxes=()):
    """A picture of one colour with boxes ((x0, y0, x1, y1) as shares, colour)."""
    image = Image.new("RGB", size, background)
    draw = ImageDraw.Draw(image)
    for (x0, y0, x1, y1), colour in boxes:
        draw.rectangle((x0 * size[0], y0 * size[1], x1 * size[0] - 1, y1 * size[1] - 1), fill=colour)
    return image


def photo(size=(640, 480), seed=0):
    """Light that changes over the whole picture, with the noise of a camera."""
    width, height = size
    slope = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 30, height)[:, None, None]
    noise = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    return Image.fromarray((slope + noise).clip(0, 255).astype(np.uint8))


def as_jpeg(image, quality=75):
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(content).convert("RGB")


def page(size):
    """A screen with a coloured bar and lines of text over its whole width."""
    width, height = size
    image = drawn(size, boxes=[((0, 0, 1, 0.1), "#ff6000")])
    draw = ImageDraw.Draw(image)
    for y in range(int(0.15 * height), height - 20, 40):
        draw.text((0, y), "order 12345 " * (width // 60), fill="black")
    return image


def test_the_views_have_their_shapes_and_lie_between_0_and_1():
    views = picture_features(photo()).views
    assert {name: view.shape for name, view in views.items()} == VIEWS
    assert all(view.dtype == np.float32 and view.min() >= 0 and view.max() <= 1 for view in views.values())


def test_a_thumbnail_holds_the_mean_colour_of_each_cell():
    thumbnail = picture_features(drawn(boxes=[((0, 0, 1, 0.5), (255, 0, 0))])).views["thumbnail"]
    assert thumbnail[0, 0].tolist() == [1, 0, 0]
    assert thumbnail[11, 5].tolist() == [1, 1, 1]


def test_the_grey_view_has_rows_from_top_to_bottom():
    grey = picture_features(drawn(background="black", boxes=[((0, 0, 1, 0.5), "white")])).views["grey"]
    assert np.array_equal(grey, np.repeat([1.0, 0.0], 10)[:, None].repeat(12, axis=1))


def test_bands_are_square_roots_of_shares_from_top_to_bottom():
    bands = picture_features(drawn(boxes=[((0, 0, 0.25, 0.25), (255, 0, 0))])).views["bands"]
    assert np.allclose((bands**2).sum(axis=1), 1, atol=1e-3)
    red, white = 0 * 9 + 2 * 3 + 2, 0 * 9 + 0 * 3 + 2
    assert bands[0, red] == pytest.approx(0.5)
    assert bands[0, white] == pytest.approx(np.sqrt(0.75), abs=1e-3)
    assert bands[1:, white].tolist() == [1, 1, 1]


def test_edges_tell_lines_across_from_lines_upright():
    upright = Image.fromarray(np.tile(np.repeat([0, 255], 4), (224, 14)).astype(np.uint8)).convert("RGB")
    across = upright.transpose(Image.Transpose.ROTATE_90)
    edges = picture_features(upright).views["edges"]
    assert edges[..., 0].min() > 0.3
    assert edges[..., 1].max() == 0
    edges = picture_features(across).views["edges"]
    assert edges[..., 0].max() == 0
    assert edges[..., 1].min() > 0.1


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [
        ((255, 0, 0), "red"), ((150, 30, 40), "red"), ((255, 96, 0), "orange"), ((255, 220, 0), "yellow"),
        ((0, 160, 60), "green"), ((0, 120, 255), "blue"), ((110, 40, 200), "purple"), ((255, 60, 170), "pink"),
        ((255, 190, 190), "pink"), ((20, 20, 40), "black"), ((128, 128, 128), "grey"), ((246, 246, 246), "white"),
    ],
)  # fmt: skip
def test_a_colour_goes_by_the_name_that_people_give_it(rgb, colour):
    hsv = np.asarray(Image.new("RGB", (1, 1), rgb).convert("HSV"))
    assert COLOURS[colours_of(hsv)[0, 0]] == colour


@pytest.mark.parametrize(
    ("hsv", "colour"),
    [
        ((10, 255, 255), "red"), ((11, 255, 255), "orange"), ((31, 255, 255), "orange"), ((32, 255, 255), "yellow"),
        ((49, 255, 255), "yellow"), ((50, 255, 255), "green"), ((116, 255, 255), "green"), ((117, 255, 255), "blue"),
        ((180, 255, 255), "blue"), ((181, 255, 255), "purple"), ((205, 255, 255), "purple"), ((206, 255, 255), "pink"),
        ((244, 255, 255), "pink"), ((245, 255, 255), "red"), ((0, 127, 255), "pink"), ((0, 128, 255), "red"),
        ((0, 255, 50), "black"), ((0, 255, 51), "red"), ((0, 38, 200), "grey"), ((0, 39, 200), "red"),
        ((0, 0, 216), "grey"), ((0, 0, 217), "white"),
    ],
)  # fmt: skip
def test_where_one_colour_ends_and_the_next_begins(hsv, colour):
    assert COLOURS[colours_of(np.array([hsv], dtype=np.uint8))[0]] == colour


def test_shares_are_those_of_the_zone():
    picture = picture_features(drawn(boxes=[((0, 0, 0.5, 0.2), "#ff6000"), ((0, 0.9, 1, 1), "black")]))
    assert picture.share("top", "orange") == pytest.approx(0.5)
    assert picture.share("header", "orange") == pytest.approx(0.5)
    assert picture.share("page", "orange") == pytest.approx(0.1, abs=1e-3)
    assert picture.share("body", "orange") == 0
    assert picture.share("bottom", "black") == pytest.approx(0.5)
    assert picture.share("bar", "black") == 1


def test_every_pixel_has_one_colour():
    assert np.allclose(picture_features(photo()).shares.sum(axis=1), 1, atol=1e-3)
    assert picture_features(photo()).shares.shape == (len(ZONES), len(COLOURS))


@pytest.mark.parametrize("size", [(590, 1000), (800, 800), (1280, 720)])
@pytest.mark.parametrize("saved", [lambda image: image, as_jpeg])
def test_a_page_is_a_screenshot_however_it_was_saved(size, saved):
    assert picture_features(saved(page(size))).kind == "screenshot"


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (540, 960)])
@pytest.mark.parametrize("saved", [lambda image: image, as_jpeg])
def test_a_picture_with_a_cameras_noise_is_a_photo(size, saved):
    assert picture_features(saved(photo(size))).kind == "photo"


def test_no_camera_takes_a_picture_as_tall_as_a_telephone():
    assert picture_features(photo((400, 740))).kind == "photo"
    assert picture_features(photo((400, 741))).kind == "screenshot"


def test_what_is_taller_than_any_screen_is_a_long_page():
    assert picture_features(page((500, 1300))).kind == "screenshot"
    assert picture_features(page((500, 1301))).kind == "long_page"
    assert picture_features(photo((500, 2000))).kind == "long_page"


def test_one_row_in_a_hundred_of_one_tone_makes_a_screenshot():
    image = photo((400, 400))
    image.paste("white", (0, 100, 400, 103))
    assert picture_features(image).kind == "photo"
    image.paste("white", (0, 100, 400, 104))
    assert picture_features(image).kind == "screenshot"


def test_half_a_picture_without_noise_makes_a_screenshot():
    image = photo((400, 400))
    image.paste("white", (8, 0, 200, 400))
    assert picture_features(image).kind == "photo"
    image.paste("white", (0, 0, 200, 400))
    assert picture_features(image).kind == "screenshot"


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 900), (900, 1)])
def test_the_smallest_pictures_have_all_features(size):
    picture = picture_features(drawn(size))
    assert picture.size == size
    assert picture.kind in KINDS
    assert picture.share("bar", "white") == 1


@pytest.mark.parametrize("image", [photo(), page((590, 1280)), drawn((3, 65_535))])
def test_a_vector_holds_everything(image):
    picture = picture_features(image)
    again = PictureFeatures.of_vector(picture.vector())
    assert picture.vector().shape == (SIZE,)
    assert (again.size, again.kind) == (picture.size, picture.kind)
    assert np.array_equal(again.shares, picture.shares)
    assert all(np.array_equal(again.views[name], view) for name, view in picture.views.items())
