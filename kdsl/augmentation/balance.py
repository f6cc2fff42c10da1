"""How many copies each sample gets, so that rare labels catch up."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_COPIES = 4
"""No sample gets more than this many times the average: copies of one sample tell little that is new."""


def copies_per_sample(labels: NDArray[np.int64], ids: Sequence[str], average: int, seed: int) -> NDArray[np.int64]:
    """How many copies each sample gets: [n_samples], `average` in the mean but for rounding.

    A sample of a label with n samples gets `average · c / √n` copies, bounded by `MOST_COPIES · average`, where c
    makes the mean right: half-way between as many for every sample and as many samples for every label. Of a label's
    samples those get one more whose ids come first in an order by hash, so that it matters little which others there
    are.
    """
    result = np.zeros(len(labels), dtype=np.int64)
    if not len(labels) or average <= 0:
        return result
    names, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    each = _bounded_shares(counts.astype(np.float64), average)
    for index in range(len(names)):
        rows = np.flatnonzero(inverse == index)
        total = round(float(each[index]) * len(rows))
        result[rows] = total // len(rows)
        ordered = sorted(rows.tolist(), key=lambda row: _hash(seed, ids[row]))
        result[ordered[: total % len(rows)]] += 1
    return result


def _bounded_shares(counts: NDArray[np.float64], average: int) -> NDArray[np.float64]:
    """Copies for a sample of each label; what the bound takes from rare labels goes to the others."""
    weight = 1 / np.sqrt(counts)
    bounded = np.zeros(len(counts), dtype=bool)
    each = np.full(len(counts), float(average))
    while not bounded.all():
        left = average * counts.sum() - MOST_COPIES * average * counts[bounded].sum()
        each = np.where(bounded, MOST_COPIES * average, left * weight / (counts * weight)[~bounded].sum())
        beyond = ~bounded & (each > MOST_COPIES * average)
        if not beyond.any():
            break
        bounded |= beyond
    return each


def _hash(seed: int, identity: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{identity}".encode("utf-8", "surrogatepass")).digest()
