"""Samples that are like one that people labelled: nothing is learned from them, and they must cross no split."""

from collections.abc import Sequence
from pathlib import Path

from kdsl.data.duplicates import near_duplicates
from kdsl.data.image_checks import image_hashes
from kdsl.sample import Sample


def like_labelled(samples: Sequence[Sample], labelled: Sequence[Sample], images: Path | None) -> set[int]:
    """Indices of `samples` that are near-duplicates of any of `labelled` (`kdsl.data.duplicates`)."""
    if not samples or not labelled:
        return set()
    # Samples with words are compared by their words: their images need not be read.
    names = [i for s in (*samples, *labelled) if not any(turn.text for turn in s.turns) for i in s.images]
    return {index for _, index in near_duplicates(labelled, samples, image_hashes(names, images))}
