"""A node of the search tree: a rule, its statistics, and the actions that lead on from it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap

Floats = NDArray[np.float64]
Key = tuple[tuple[int, ...], ...]
"""A rule: sorted conditions, each a sorted tuple of literal indices of which any may hold."""


@dataclass(slots=True)
class Node:
    """A rule that the search has come to, and what may be added to it."""

    key: Key
    bits: Bitmap
    hits: float
    correct: float
    reward: float
    visits: int = 0
    total: float = 0.0
    best: float = 0.0
    exhausted: bool = False
    """Nothing below this node is left to look at."""
    expanded: bool = False
    asked: bool = False
    """Whether the small model was asked about it."""
    prior: Floats | None = None
    """Of every literal, where the small model advised. [n_literals]"""
    child_position: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """For each child, most promising first, the condition that its literal joins; -1 where it makes a new one."""
    child_literal: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    child_bits: Bitmap = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint64))
    child_prior: Floats = field(default_factory=lambda: np.zeros(0))
    child_value: Floats = field(default_factory=lambda: np.zeros(0))
    child_visits: Floats = field(default_factory=lambda: np.zeros(0))
    child_counts: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    """Hits, correct hits and reward of each child. [n_children, 3]"""
    child_bound: Floats = field(default_factory=lambda: np.zeros(0))
    """No rule below the child has a larger reward; kept where conditions have one term."""


def extended(key: Key, position: int, literal: int) -> Key:
    """The rule with one more condition (`position` -1) or with one more term in the condition at `position`."""
    if position < 0:
        return tuple(sorted({*key, (literal,)}))
    grown = tuple(sorted({*key[position], literal}))
    return tuple(sorted({*key[:position], grown, *key[position + 1 :]}))


def literals_of(key: Key) -> list[int]:
    """All literals of a rule."""
    return [literal for condition in key for literal in condition]
