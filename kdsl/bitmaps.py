"""Sets of samples as packed bits, and counts over them.

A bitmap is uint64 [n_words]: bit j of word w is sample 64 * w + j; bits beyond the last sample are 0.
"""

import numpy as np
from numpy.typing import NDArray

Bitmap = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

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


def pack_indices(rows: Indices, samples: Indices, n_rows: int, n_samples: int) -> Bitmap:
    """uint64 [n_rows, n_words] in which bit `samples[i]` of row `rows[i]` is set, for every i; pairs may repeat."""
    n_words = -(-n_samples // 64)
    bits = np.zeros(n_rows * n_words, dtype=np.uint64)
    np.bitwise_or.at(bits, rows * n_words + (samples >> 6), np.uint64(1) << (samples & 63).astype(np.uint64))
    return bits.reshape(n_rows, n_words)


def indices(bits: Bitmap) -> tuple[Indices, Indices]:
    """Row and sample of every bit that is set in uint64 [n, n_words], row by row."""
    words = np.flatnonzero(bits)
    found = np.flatnonzero(unpack(bits.reshape(-1, 1)[words], 64))
    rows, samples = np.divmod(words[found >> 6] * 64 + (found & 63), bits.shape[1] * 64)
    return rows, samples


def members(bits: Bitmap) -> Indices:
    """The samples in one bitmap, ascending: uint64 [n_words] to int64 [n_members]."""
    return indices(bits[None, :])[1]


def contains(bits: Bitmap, samples: Indices | int) -> Flags:
    """Whether samples, or one, are in each bitmap: uint64 [..., n_words] and int64 [n] to bool [..., n]."""
    within = np.asarray(samples & 63, dtype=np.uint64)
    return (bits[..., samples >> 6] >> within & np.uint64(1)).astype(bool)


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

    @property
    def alike(self) -> bool:
        """Whether each sample counts as one."""
        return not self._planes

    def count(self, bits: Bitmap) -> NDArray[np.float64]:
        """Total weight of the samples in each bitmap: uint64 [..., n_words] to float64 [...]."""
        if not self._planes:  # all alike
            return np.bitwise_count(bits).sum(axis=-1, dtype=np.float64)
        total = np.zeros(bits.shape[:-1])
        for plane, value in zip(self._planes, self._values, strict=True):
            total += value * np.bitwise_count(bits & plane).sum(axis=-1, dtype=np.float64)
        return total
