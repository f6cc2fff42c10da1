"""Conditions on what is seen on an image, its kind and its colours: whether they hold, and where it is seen."""

from typing import NamedTuple

from kdsl.fields import ZONES
from kdsl.fields.sidecar import Box
from kdsl.fields.table import SampleFields
from kdsl.rules.condition import Colour, Condition


class Region(NamedTuple):
    """A part of an image that somebody can look at."""

    image: str
    box: Box
    """In pixels of the image's OCR page, or of the image itself where it has none."""

    def __str__(self) -> str:
        x0, y0, x1, y1 = map(round, self.box)
        return f"{x0},{y0} to {x1},{y1}"


def holds_on_sight(condition: Condition, row: SampleFields) -> bool:
    """Whether the test of a condition on kind or colour holds, negation taken off; False without a picture."""
    if condition.colour is not None:
        return condition.colour.share.holds(colour_share(condition.colour, row))
    return row.picture is not None and row.picture.kind == condition.image_kind


def colour_share(colour: Colour, row: SampleFields) -> float | None:
    """How much of the zone has the colour, 0 to 1; None without a picture."""
    return None if row.picture is None else row.picture.share(colour.zone, colour.colour)


def region(condition: Condition, row: SampleFields) -> Region | None:
    """What a condition on kind or colour looks at: the whole image, or the zone; None without a picture."""
    if row.seen is None or (condition.colour is None and condition.image_kind is None):
        return None
    image, picture = row.seen
    page = row.sidecars.ocr.get(image)
    width, height = picture.size if page is None else page.size
    begin, end = ZONES["page" if condition.colour is None else condition.colour.zone]
    return Region(image, (0.0, begin * height, float(width), end * height))
