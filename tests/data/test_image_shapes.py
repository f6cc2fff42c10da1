"""The one rule of shapes and colours: what every decoder of KDSL sees of an image file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kdsl.data.images import decoded, inspect_image, open_image, with_margin


def drawn(mode: str, white: object, black: object, size: tuple[int, int] = (40, 20)) -> Image.Image:
    image = Image.new(mode, size, white)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill=black)
    return image


def seen(path: Path) -> Image.Image:
    with open_image(path) as file:
        return decoded(file)


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.repeat([[9000] * 20 + [65535] * 20], 20, axis=0).astype(np.uint16))


def fractions() -> Image.Image:
    return Image.fromarray(np.repeat([[0.1] * 20 + [1.0] * 20], 20, axis=0).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.png", drawn("RGB", "white", "black")),
        ("a.png", drawn("1", 1, 0)),
        ("a.png", drawn("L", 255, 0)),
        ("a.png", drawn("RGBA", (0, 0, 0, 0), (0, 0, 0, 255))),
        ("a.png", drawn("LA", (0, 0), (0, 255))),
        ("a.png", drawn("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)).quantize(4)),
        ("a.jpg", drawn("CMYK", (0, 0, 0, 0), (0, 0, 0, 255))),
        ("a.png", sixteen_bits()),
        ("a.tif", sixteen_bits()),
        ("a.tif", fractions()),
        ("a.gif", drawn("P", 1, 0)),
    ],
)
def test_black_is_dark_and_white_or_nothing_is_white(tmp_path, name, image):
    if image.mode == "P" and name == "a.gif":
        image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / name)
    result = seen(tmp_path / name)
    assert (result.mode, result.size) == ("RGB", (40, 20))
    assert max(result.getpixel((5, 10))) < 60
    assert min(result.getpixel((35, 10))) > 240
    assert inspect_image(tmp_path / name).hash is not None


def test_of_an_animation_the_first_frame_is_seen(tmp_path):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("black", "white"))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert seen(tmp_path / "a.gif").getpixel((4, 4)) == (0, 0, 0)


def test_a_photo_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert seen(tmp_path / "a.jpg").size == (20, 30)


@pytest.mark.parametrize("size", [(6000, 5000), (65_536, 1), (1, 65_536)])
def test_what_is_too_large_is_not_decoded(tmp_path, size):
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]} pixels are too many; scale it down or cut it"):
        seen(tmp_path / "a.png")
    assert inspect_image(tmp_path / "a.png").problem == "huge"


@pytest.mark.parametrize(
    ("size", "shortest", "expected"),
    [
        ((5, 1500), 1, (8, 1500)),
        ((1500, 5), 1, (1500, 8)),
        ((1, 65_535), 1, (328, 65_535)),
        ((10, 2000), 1, (10, 2000)),
        ((1, 1), 1, (1, 1)),
        ((5, 1500), 320, (320, 1500)),
    ],
)
def test_a_margin_makes_an_image_as_wide_as_it_must_be(size, shortest, expected):
    page = with_margin(Image.new("RGB", size, "black"), shortest)
    assert page.size == expected
    assert page.getpixel((0, 0)) == page.getpixel((size[0] - 1, size[1] - 1)) == (0, 0, 0)
    if page.size != size:
        assert page.getpixel((page.width - 1, page.height - 1)) == (255, 255, 255)
