"""Looking at an image without trusting it, and the one rule of shapes: what is refused, what gets a margin."""

import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from kdsl.errors import KdslError, first_line
from kdsl.files import inside
from kdsl.progress import Progress, track

if TYPE_CHECKING:
    from PIL.Image import Image

HUGE_PIXELS = 30_000_000
"""Images from this size on are reported and decoded by nothing."""
LONGEST_SIDE = 65_535
"""Pixels, the most that a JPEG can have: what is longer is refused too."""
MAX_RATIO = 200
"""Qwen's own preprocessing refuses images with one side more than so many times the other: they get a margin."""

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

    @property
    def narrow(self) -> bool:
        """Whether models and OCR see it with a margin (`with_margin`)."""
        return self.problem is None and self.size is not None and max(self.size) > MAX_RATIO * min(self.size)


def picture_path(folder: Path, name: str) -> Path:
    """Where an image of a sample lies: below `folder`, or where KDSL rendered that of a changed copy.

    The latter's name is the absolute path, which no name in a file of data may be. KdslError where a link leads out.
    """
    return Path(name) if os.path.isabs(name) else inside(folder, name)


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
        with open_image(path) as image:
            size = image.size
            if too_large(size):
                return ImageFacts("huge", f"{size[0]} x {size[1]} pixels", size)
            # A JPEG is decoded at the smallest scale that is enough: an eighth of the time and memory.
            image.draft("L", (8 * _HASH_SIDE, 8 * _HASH_SIDE))
            grey = decoded(image).convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    except Image.DecompressionBombError:
        return ImageFacts("huge", f"more than {2 * (Image.MAX_IMAGE_PIXELS or HUGE_PIXELS)} pixels")
    except Exception as error:  # decoders of broken files raise anything: OSError, SyntaxError, struct.error, …
        return ImageFacts("unreadable", first_line(error), size)
    pixels = np.asarray(grey, dtype=np.float32)
    return ImageFacts(None, "", size, None if pixels.std() < _FLAT else (pixels[:, :-1] > pixels[:, 1:]).ravel())


@contextmanager
def open_image(path: Path) -> "Iterator[Image]":
    """The image file, of which nothing but its head is read yet.

    Raises FileNotFoundError where there is no regular file, and whatever Pillow raises for a broken one.
    """
    from PIL import Image

    if not path.is_file():  # of a pipe nobody knows when it ends
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(path)
    with image:
        yield image


def decoded(image: "Image") -> "Image":
    """An image just opened, upright, in RGB of 8 bits on white; of an animation the first frame.

    Raises ValueError for one that is too large, before it is decoded, and whatever decoders raise for a broken one.
    """
    from PIL import Image, ImageOps

    if too_large(image.size):
        raise ValueError(f"{image.width} x {image.height} pixels are too many; scale it down or cut it")
    image = _eight_bit(ImageOps.exif_transpose(image))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def with_margin(image: "Image", shortest: int = 1) -> "Image":
    """With white at the right or below, so that no side is over `MAX_RATIO` times the other or under `shortest`."""
    from PIL import Image

    least = max(shortest, -(-max(image.size) // MAX_RATIO))
    size = max(image.width, least), max(image.height, least)
    if size == image.size:
        return image
    page = Image.new("RGB", size, "white")
    page.paste(image)
    return page


def too_large(size: tuple[int, int]) -> bool:
    """Whether an image of (width, height) pixels is refused."""
    return size[0] * size[1] >= HUGE_PIXELS or max(size) > LONGEST_SIDE


def _eight_bit(image: "Image") -> "Image":
    """Grey values of 16 and 32 bits and fractions made those of 8, which Pillow would cut off at 255."""
    from PIL import Image

    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image, dtype=np.float32)
    if image.mode.startswith("I;16") or values.max() > 255:
        white = 65535
    else:
        white = 1 if image.mode == "F" and values.max() <= 1 else 255
    return Image.fromarray((values.clip(0, white) * (255 / white)).astype(np.uint8))


def image_hashes(names: Sequence[str], folder: Path | None, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """The difference hash, bool [256], of every image that can be compared; nothing where there is no folder."""
    facts = images_facts(list(dict.fromkeys(names)), folder, progress) if folder is not None and names else {}
    return {name: fact.hash for name, fact in facts.items() if fact.hash is not None}


def images_facts(names: Sequence[str], folder: Path, progress: Progress | None = None) -> dict[str, ImageFacts]:
    """`image_facts` of many images, by name."""
    # Decoders release the interpreter lock, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        facts = pool.map(partial(image_facts, folder), names)
        return dict(zip(names, track(facts, "Reading images", len(names), progress), strict=True))
