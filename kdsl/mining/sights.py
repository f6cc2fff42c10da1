"""Candidate conditions on what is seen: the kind of an image, and how much of a zone has a colour.

The labels of samples are not looked at.
"""

from collections.abc import Iterator

import numpy as np

from kdsl.bitmaps import Flags
from kdsl.fields import COLOUR_FIELD, COLOURS, KIND_FIELD, KINDS, ZONES
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Colour, Comparison, Condition

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Shares of a zone that rules may ask for: people read these at a glance, and know no finer ones."""
_QUANTILES = (0.5, 0.65, 0.8, 0.9, 0.95)
"""Of the shares that samples have; the nearest of `SHARES` below each is tried."""
_ZONES = sorted(ZONES, key=lambda zone: ZONES[zone][0] - ZONES[zone][1])
"""Wide ones first: what holds of the page is not said of a zone."""


def sight_conditions(table: FieldTable, least: int, most: float) -> Iterator[tuple[Condition, Flags]]:
    """Conditions with the samples of `table` that they hold on, at least `least` and at most `most`.

    No two of them hold on the same samples; there are none where no sample has a picture.
    """
    table.look()
    table.tell_unseen()
    pictures = [row.picture for row in table.rows]
    if not any(pictures):
        return
    seen: set[bytes] = set()
    for condition, flags in (*_kinds(table), *_colours(table)):
        if least <= flags.sum() <= most and flags.tobytes() not in seen:
            seen.add(flags.tobytes())
            yield condition, flags


def _kinds(table: FieldTable) -> Iterator[tuple[Condition, Flags]]:
    kinds = np.array([row.picture.kind if row.picture is not None else "" for row in table.rows])
    for kind in KINDS:
        yield Condition(field=KIND_FIELD, image_kind=kind), kinds == kind


def _colours(table: FieldTable) -> Iterator[tuple[Condition, Flags]]:
    for zone in _ZONES:
        for colour in COLOURS:
            shares = np.array(
                [np.nan if row.picture is None else row.picture.share(zone, colour) for row in table.rows]
            )
            for share in _thresholds(shares[~np.isnan(shares)]):
                test = Colour(zone=zone, colour=colour, share=Comparison(op=">", value=share))
                yield Condition(field=COLOUR_FIELD, colour=test), shares > share


def _thresholds(shares: np.ndarray) -> list[float]:
    """The `SHARES` just below quantiles of the shares that samples have."""
    places = np.searchsorted(SHARES, np.quantile(shares, _QUANTILES), side="left") - 1
    return [SHARES[place] for place in sorted(set(places.tolist())) if place >= 0]
