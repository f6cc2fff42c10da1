"""Sets of samples as packed bits, and weighted counts over them.

A bitmap is uint64 [n_words]: bit j of word w is sample 64 * w + j.
"""

import numpy as np
from numpy.typing import NDArray

Bitmap = NDArray[np.uint64]
Flags = NDArray[np.bool_]

WEIGHT_LEVELS = 8
"""Sample weights are rounded to eighths: a count is then a popcount of at most four bit planes."""


def pack(flags: Flags) -> Bitmap:
    """bool [..., n] to uint64 [..., ceil(n / 64)]."""
    n_words = -(-flags.shape[-1] // 64)
    octets = np.zeros((*flags.shape[:-1], n_words * 8), dtype=np.uint8)
    packed = np.packbits(flags, axis=-1, bitorder="little")
    octets[..., : packed.shape[-1]] = packed
    return octets.view("<u8").astype(np.uint64, copy=False)


def unpack(bits: Bitmap, n_samples: int) -> Flags:
    """uint64 [..., n_words] to bool [..., n_samples]."""
    octets = np.ascontiguousarray(bits, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=n_samples, bitorder="little").astype(bool)


def count(bits: Bitmap) -> NDArray[np.int64]:
    """How many samples are in each bitmap: uint64 [..., n_words] to int64 [...]."""
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)


class SampleWeights:
    """Counts samples by weight. Weights lie in (0, 1] and are rounded to `WEIGHT_LEVELS` steps."""

    def __init__(self, weights: NDArray[np.float64]) -> None:
        levels = np.clip(np.rint(weights * WEIGHT_LEVELS), 1, WEIGHT_LEVELS).astype(np.int64)
        if (levels == levels[0]).all():
            self._planes, self._values = [], []
        else:
            bits = range(int(levels.max()).bit_length())
            self._planes = [pack((levels >> bit & 1).astype(bool)) for bit in bits]
            self._values = [2.0**bit / WEIGHT_LEVELS for bit in bits]

    def count(self, bits: Bitmap) -> NDArray[np.float64]:
        """Total weight of the samples in each bitmap: uint64 [..., n_words] to float64 [...]."""
        if not self._planes:  # all alike
            return np.bitwise_count(bits).sum(axis=-1, dtype=np.float64)
        total = np.zeros(bits.shape[:-1])
        for plane, value in zip(self._planes, self._values, strict=True):
            total += value * np.bitwise_count(bits & plane).sum(axis=-1, dtype=np.float64)
        return total
