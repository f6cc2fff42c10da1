"""What a model hears of a sound: its beginning, as many seconds as the model's encoder takes."""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kdsl.audio.decoding import RATE, load_audio

log = logging.getLogger(__name__)

MOST_SECONDS = 30
"""What is sent of a sound to a server, which does not tell what its model's encoder takes: Whisper's and Qwen2-Audio's
take so much."""
_LEAST_SECONDS = 0.1
"""Shorter sounds are followed by silence: some encoders fail on a few milliseconds."""


def load_sound(path: Path, most: float = MOST_SECONDS) -> tuple[NDArray[np.float32], bool]:
    """The first `most` seconds [samples] at `RATE`, and whether there is more of it.

    Errors are those of `kdsl.audio.decoding.load_audio`.
    """
    samples = load_audio(path, end=most + 1 / RATE)
    kept = samples[: math.floor(most * RATE)]
    least = round(_LEAST_SECONDS * RATE)
    return np.pad(kept, (0, max(0, least - len(kept)))), len(samples) > len(kept)


class CutSounds:
    """Warns of sounds of which a model hears the beginning alone, of each once. For several threads at once."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._lock = Lock()
        self._told: set[Path] = set()
        self._new: set[Path] = set()

    def add(self, paths: Iterable[Path]) -> None:
        with self._lock:
            self._new |= set(paths) - self._told

    def tell(self) -> None:
        """One warning for all that were added since the last one."""
        with self._lock:
            new, self._new = sorted(self._new), set()
            self._told.update(new)
        if new:
            log.warning(
                "sounds longer than the %g seconds that the model takes, of which it hears the beginning alone: %d, "
                "such as %s",
                self._most,
                len(new),
                new[0],
            )
