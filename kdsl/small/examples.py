"""Samples as the small model is shown them, and which ones: typical positives and near-miss negatives."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.fields.table import SampleFields, last_user_turn
from kdsl.files import existing_file
from kdsl.vlm.conversation import Picture, Piece

POSITIVES, NEGATIVES = 2, 2
"""How many of each are shown."""
_CHARACTERS = 120
"""Of a sample's text."""


def shown_sample(row: SampleFields, images: Path | None) -> list[Piece]:
    """The first image that exists in the folder `images`, and what the user said, or else what stands on the page."""
    pieces: list[Piece] = []
    if images is not None:
        files = (existing_file(images, image) for image in row.shown.images)
        pieces += [Picture(file) for file in files if file is not None][:1]
    turn = last_user_turn(row.heard)
    text = row.heard.turns[turn].text if turn is not None else row.text("ocr").text.replace("\n", " ")
    return [*pieces, text[:_CHARACTERS]] if text else pieces


def typical(flags: Flags, positive: Flags, part: Flags) -> tuple[list[int], list[int]]:
    """Indices of positives and of near misses among the samples of `part`: those that most conditions hold on.

    `flags` [n_conditions, n_samples] are conditions that speak for the label, `positive` and `part` [n_samples].
    """
    support = flags.sum(axis=0, dtype=np.int64)
    return _most(support, positive & part, POSITIVES), _most(support, ~positive & part, NEGATIVES)


def _most(support: NDArray[np.int64], members: Flags, n: int) -> list[int]:
    indices = np.flatnonzero(members)
    return indices[np.argsort(-support[indices], kind="stable")[:n]].tolist()
