"""The parts of a sound in which something can be heard: silence is skipped, and what is long is cut where it is
quiet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.audio.decoding import RATE, Samples

LONGEST_PIECE = 30.0
"""Seconds of a piece, at most: as much as Whisper hears at once."""

_FRAME = RATE // 50
"""Samples of a frame of 20 ms, which is quiet or loud as a whole."""
_PAUSE = 50
"""Frames: a longer pause parts two pieces."""
_MARGIN = 12
"""Quiet frames that stay before and behind what is loud: weak consonants begin and end words."""
_CLICK = 3
"""Frames: what is loud for no longer is no word."""
_SHORT = 5
"""Frames, over which the quietest place is looked for where there is no pause."""
_FLOOR = 5e-4
"""Loudness under which nothing can be heard: 66 dB below what is possible."""
_OF_NOISE, _OF_LOUDEST = 3.0, 0.1
"""A frame is quiet under three times the loudness of the quietest tenth, but never from a tenth of the loudest on, so
that of a noisy sound rather too much is kept."""

Span = tuple[int, int]
"""Frames [start, stop)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sound."""

    start: float
    """Seconds from the sound's beginning."""
    samples: Samples
    """Float32 [n] in [-1, 1], `RATE` a second."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def pieces_of(blocks: Iterable[Samples], longest: float = LONGEST_PIECE) -> Iterator[Piece]:
    """The pieces, of at most `longest` seconds each, of a sound that comes in blocks of any length.

    No more than a piece and a block are held at once.
    """
    window = round(longest * RATE)
    held, place = np.zeros(0, np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > window:
            spans, rest = _whole_spans(_loudness(held[:window]))
            yield from _cut(held[:window], place, spans)
            held, place = held[rest * _FRAME :], place + rest * _FRAME
    yield from _cut(held, place, _loud_spans(_loudness(held)))


def _cut(samples: Samples, place: int, spans: Iterable[Span]) -> Iterator[Piece]:
    for start, stop in spans:
        yield Piece((place + start * _FRAME) / RATE, samples[start * _FRAME : stop * _FRAME].copy())


def _whole_spans(loudness: NDArray[np.float32]) -> tuple[list[Span], int]:
    """The spans of a window that are over in it, and the frame from which it is looked at again with what follows."""
    spans, frames = _loud_spans(loudness), len(loudness)
    if not spans or spans[-1][1] + _PAUSE < frames:
        return spans, frames - _MARGIN
    *whole, (start, _) = spans
    if start:
        return whole, start
    half = frames // 2
    quietest = half + int(np.argmin(np.convolve(loudness[half:], np.ones(_SHORT), "valid"))) + _SHORT // 2
    return [(0, quietest)], quietest


def _loud_spans(loudness: NDArray[np.float32]) -> list[Span]:
    """Where something can be heard, with a margin on both sides; what is cut by a window's end is no click."""
    loud = np.flatnonzero(loudness > _quiet(loudness))
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > _PAUSE) + 1) if len(loud) else []
    return [
        (max(int(part[0]) - _MARGIN, 0), min(int(part[-1]) + 1 + _MARGIN, len(loudness)))
        for part in parts
        if len(part) > _CLICK or part[0] == 0 or part[-1] + 1 == len(loudness)
    ]


def _loudness(samples: Samples) -> NDArray[np.float32]:
    """Root of the mean square of each frame, the last of which may be short."""
    padded = np.pad(samples, (0, -len(samples) % _FRAME))
    return np.sqrt(np.mean(padded.reshape(-1, _FRAME) ** 2, axis=1))


def _quiet(loudness: NDArray[np.float32]) -> float:
    if not len(loudness):
        return _FLOOR
    noise, loudest = float(np.quantile(loudness, 0.1)), float(loudness.max())
    return max(_FLOOR, min(_OF_NOISE * noise, _OF_LOUDEST * loudest))
