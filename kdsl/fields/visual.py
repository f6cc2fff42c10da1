"""What is seen on one image without a model: views for classifiers, and the kind and colours that rules ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from kdsl.embeddings.encoder import Vectors32
from kdsl.fields import COLOURS, KINDS, ZONES

if TYPE_CHECKING:
    from PIL.Image import Image

MADE_BY = "visual-1"
"""Which features these are: another version of what is computed here takes another name."""

VIEWS: dict[str, tuple[int, ...]] = {
    "thumbnail": (12, 6, 3),
    "grey": (20, 12),
    "bands": (4, 72),
    "edges": (14, 7, 2),
}
"""view → its shape; see `PictureFeatures.views`"""

LONG_PAGE = 2.6
"""Height / width above which an image holds several screens: the tallest telephones have 2.4."""
_TALLEST_PHOTO = 1.85
"""Height / width above which no camera takes a photo: the tallest common format is 16:9, or 1.78."""
_FLAT_ROWS = 0.01
"""Share of rows in one tone, such as the space between two lines of a page, from which an image is drawn."""
_TONE = 8
"""Grey values, of 256, that a row in one tone may span: JPEG leaves as much."""
_FLAT_BLOCKS = 0.5
"""Share of blocks, `_BLOCK` pixels a side, all in one grey from which an image is drawn: cameras have noise."""
_BLOCK = 8
"""JPEG's own blocks."""

_HUES = {"red": 15, "orange": 45, "yellow": 70, "green": 165, "blue": 255, "purple": 290, "pink": 345}
"""colour → the degree at which its hues end; from the last one on they are red again"""
_BLACK = 0.2
"""HSV value below which a pixel is black."""
_COLOURLESS = 0.15
"""HSV saturation below which a pixel is white or grey."""
_WHITE = 0.85
"""HSV value from which a colourless pixel is white."""
_PALE = 0.5
"""HSV saturation below which a light red is pink."""
_GRID = (100, 50)
"""Rows and columns on which colours are counted: zones begin and end between two rows."""
_DIGIT, _FACTS = 256, 5
"""Width and height are two digits each in a vector, to this base, as half precision knows no large number; with the
kind that makes five numbers."""


@dataclass(frozen=True)
class PictureFeatures:
    """What is seen on one image; all numbers are those of half precision, whether they were kept or are new."""

    size: tuple[int, int]
    """Width and height in pixels, upright."""
    kind: str
    """One of `kdsl.fields.KINDS`."""
    shares: Vectors32
    """[n_zones, n_colours]: the share of each zone's area that has the colour, in the order of `kdsl.fields`."""
    views: Mapping[str, Vectors32]
    """By name, in the shapes of `VIEWS`:

    - `thumbnail`: 12 rows x 6 columns x red, green and blue, 0 to 1
    - `grey`: 20 rows x 12 columns, 0 to 1
    - `bands`: for each of four bands from top to bottom, square roots of the shares of 8 hues x 3 saturations x 3
      values
    - `edges`: 14 rows x 7 columns x 2, square roots of the mean difference of neighbours along x and along y
    """

    def share(self, zone: str, colour: str) -> float:
        """The share of the zone's area that has the colour, 0 to 1."""
        return float(self.shares[list(ZONES).index(zone), COLOURS.index(colour)])

    def vector(self) -> NDArray[np.float16]:
        """All of it in one vector of `SIZE` numbers, which `of_vector` reads."""
        width, height = self.size
        facts = [*divmod(width, _DIGIT), *divmod(height, _DIGIT), KINDS.index(self.kind)]
        views = [self.views[name].ravel() for name in VIEWS]
        return np.concatenate([facts, self.shares.ravel(), *views]).astype(np.float16)

    @staticmethod
    def is_possible(vector: NDArray[np.float16]) -> bool:
        """Whether `vector` may have given it; what was kept in a file may be damaged."""
        *size, kind = vector[:_FACTS].tolist()
        shares = vector[_FACTS:]
        return kind in range(len(KINDS)) and min(size) >= 0 and bool(((shares >= 0) & (shares <= 1)).all())

    @classmethod
    def of_vector(cls, vector: NDArray[np.float16]) -> "PictureFeatures":
        """What `vector` gave."""
        *size, kind = vector[:_FACTS].astype(int).tolist()
        ends = np.cumsum([_FACTS, len(ZONES) * len(COLOURS), *map(_numbers, VIEWS.values())])
        shares, *views = np.split(vector.astype(np.float32), ends)[1:-1]
        return cls(
            (size[0] * _DIGIT + size[1], size[2] * _DIGIT + size[3]),
            KINDS[kind],
            shares.reshape(len(ZONES), len(COLOURS)),
            {name: view.reshape(VIEWS[name]) for name, view in zip(VIEWS, views, strict=True)},
        )


def _numbers(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


SIZE = _FACTS + len(ZONES) * len(COLOURS) + sum(map(_numbers, VIEWS.values()))
"""Numbers in `PictureFeatures.vector`."""


def picture_features(image: "Image") -> PictureFeatures:
    """What is seen on an image in RGB, upright, as `kdsl.data.images.decoded` gives it."""
    grey = image.convert("L")
    views = {
        "thumbnail": _resized(image, 12, 6) / 255,
        "grey": _resized(grey, 20, 12) / 255,
        "bands": _bands(image),
        "edges": _edges(grey),
    }
    exact = PictureFeatures(
        image.size,
        kind_of(np.asarray(grey)),
        _colour_shares(image).astype(np.float32),
        {name: view.astype(np.float32) for name, view in views.items()},
    )
    return PictureFeatures.of_vector(exact.vector())


def kind_of(grey: NDArray[np.uint8]) -> str:
    """One of `kdsl.fields.KINDS`, for grey values [height, width] of an image in its own size.

    What is drawn has rows in one tone, or is flat nearly everywhere; a camera's noise leaves neither, nor does JPEG.
    """
    height, width = grey.shape
    if height > LONG_PAGE * width:
        return "long_page"
    if height > _TALLEST_PHOTO * width:
        return "screenshot"
    spans = grey.max(axis=1).astype(int) - grey.min(axis=1)
    if (spans <= _TONE).mean() >= _FLAT_ROWS:
        return "screenshot"
    rows, columns = height // _BLOCK, width // _BLOCK
    if rows == 0 or columns == 0:
        return "photo"
    blocks = grey[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    flat = blocks.max(axis=(1, 3)) == blocks.min(axis=(1, 3))
    return "screenshot" if flat.mean() >= _FLAT_BLOCKS else "photo"


def colours_of(hsv: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The index in `kdsl.fields.COLOURS` of every pixel [..., 3] of an image in Pillow's HSV: each has one colour.

    Dark pixels are black, those of little saturation white or grey, pale light reds pink; the others go by their hue,
    in degrees: red from 345 to 15, then orange to 45, yellow to 70, green to 165, blue to 255, purple to 290, pink.
    """
    hue, saturation, value = (hsv[..., channel] / 255.0 for channel in range(3))
    by_hue = np.array([COLOURS.index(colour) for colour in (*_HUES, "red")])
    colours = by_hue[np.searchsorted(list(_HUES.values()), hue * 360, side="right")]
    colours[(colours == COLOURS.index("red")) & (saturation < _PALE) & (value >= _WHITE)] = COLOURS.index("pink")
    colours[saturation < _COLOURLESS] = COLOURS.index("grey")
    colours[(saturation < _COLOURLESS) & (value >= _WHITE)] = COLOURS.index("white")
    colours[value < _BLACK] = COLOURS.index("black")
    return cast("NDArray[np.int64]", colours)


def _colour_shares(image: "Image") -> NDArray[np.float64]:
    rows, _ = _GRID
    colours = colours_of(_resized(image, *_GRID, mode="HSV").astype(np.uint8))
    zones = [colours[round(begin * rows) : round(end * rows)] for begin, end in ZONES.values()]
    return np.array([np.bincount(zone.ravel(), minlength=len(COLOURS)) / zone.size for zone in zones])


def _bands(image: "Image") -> NDArray[np.float64]:
    bands = []
    for band in np.array_split(_resized(image, 128, 64, mode="HSV"), 4):
        hue = (band[..., 0] // (256 / 8)).astype(int)
        saturation, value = ((band[..., channel] // (256 / 3)).astype(int).clip(0, 2) for channel in (1, 2))
        counts = np.bincount((hue * 9 + saturation * 3 + value).ravel(), minlength=72)
        bands.append(np.sqrt(counts / hue.size))
    return np.array(bands)


def _edges(grey: "Image") -> NDArray[np.float64]:
    rows, columns, _ = VIEWS["edges"]
    values = _resized(grey, 16 * rows, 16 * columns) / 255
    along_x = np.abs(np.diff(values, axis=1))[:-1]
    along_y = np.abs(np.diff(values, axis=0))[:, :-1]
    cells = [
        [cell.mean(axis=(0, 1)) for cell in np.array_split(row, columns, axis=1)]
        for row in np.array_split(np.stack([along_x, along_y], axis=-1), rows)
    ]
    return np.sqrt(np.array(cells))


def _resized(image: "Image", rows: int, columns: int, mode: str | None = None) -> NDArray[np.float64]:
    """Pixels [rows, columns, …], 0 to 255, each the mean of those it stands for, in another colour space if given."""
    from PIL import Image

    small = image.resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(small if mode is None else small.convert(mode), dtype=np.float64)
