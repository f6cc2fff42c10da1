"""Looking at an image without trusting it: is it readable, how large is it, and what does it look like."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kdsl.errors import KdslError
from kdsl.files import inside

HUGE_PIXELS = 30_000_000
"""Images from this size on are reported and not decoded."""

_HASH_SIDE = 16
_FLAT = 4.0
"""Standard deviation of grey values, 0 to 255, under which a page is too empty to be compared."""

Problem = Literal["missing", "outside", "unreadable", "huge"]


@dataclass(frozen=True)
class ImageFacts:
    """`size` is (width, height) in pixels, `hash` the perceptual hash, bool [256]; None where they cannot be known."""

    problem: Problem | None = None
    detail: str = ""
    size: tuple[int, int] | None = None
    hash: np.ndarray | None = None


def existing_image(folder: Path, name: str) -> Path | None:
    """The file of a sample's image; None where there is none, or it lies outside `folder`."""
    try:
        path = inside(folder, name)
        return path if path.is_file() else None
    except (KdslError, OSError):
        return None


def image_facts(folder: Path, name: str) -> ImageFacts:
    """`inspect_image` of a sample's image; one outside `folder` is not opened."""
    try:
        path = inside(folder, name)
    except KdslError:
        return ImageFacts("outside")
    return inspect_image(path)


def inspect_image(path: Path) -> ImageFacts:
    """What is known about the image file at `path`; never raises for a file, whatever it holds.

    The hash is the difference hash: is each pixel of a 17 x 16 grey thumbnail brighter than its right neighbour?
    """
    from PIL import Image

    size = None
    try:
        if not path.is_file():
            return ImageFacts("unreadable", "no file") if path.exists() else ImageFacts("missing")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                size = image.size
                if size[0] * size[1] >= HUGE_PIXELS:
                    return ImageFacts("huge", f"{size[0]} x {size[1]} pixels", size)
                # A JPEG is decoded at the smallest scale that is enough: an eighth of the time and memory.
                image.draft("L", (8 * _HASH_SIDE, 8 * _HASH_SIDE))
                grey = image.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    except Image.DecompressionBombError:
        return ImageFacts("huge", f"more than {2 * (Image.MAX_IMAGE_PIXELS or HUGE_PIXELS)} pixels")
    except Exception as error:  # decoders of broken files raise anything: OSError, SyntaxError, struct.error, …
        return ImageFacts("unreadable", str(error).split("\n")[0] or type(error).__name__, size)
    pixels = np.asarray(grey, dtype=np.float32)
    return ImageFacts(None, "", size, None if pixels.std() < _FLAT else (pixels[:, :-1] > pixels[:, 1:]).ravel())
