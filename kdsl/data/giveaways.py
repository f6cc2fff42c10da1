"""Ids and file names that give the label away: a model or a rule that sees them learns nothing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.text import normalise

_DIGITS = re.compile(r"(\d+)")
_SHUFFLES = 200
_SURPRISE = 6.0
"""Standard deviations above chance: about one in a thousand million by luck."""
_EXCESS = 0.25
"""Share of the way from chance to perfect order, below which a trace is too faint to help anyone."""


@dataclass(frozen=True)
class Giveaway:
    """`detail` says how the names tell the labels, `count` how many samples do."""

    detail: str
    count: int
    examples: tuple[str, ...]


def label_in_names(names: Sequence[str], labels: Sequence[str]) -> Giveaway | None:
    """Whether the name of a sample (its id or file name) tends to hold the name of its label."""
    wanted = {label: normalise(label) for label in set(labels)}
    wanted = {label: text for label, text in wanted.items() if len(text) > 1}
    own, wrong = [], 0
    for name, label in zip(names, labels, strict=True):
        text = normalise(name)
        if label in wanted and wanted[label] in text:
            own.append(name)
        elif any(other in text for other in wanted.values()):
            wrong += 1
    if len(own) < 2 or len(own) <= wrong:
        return None
    return Giveaway("hold the name of their label", len(own), tuple(own[:3]))


def label_in_order(names: Sequence[str], labels: Sequence[str], seed: int = 0) -> Giveaway | None:
    """Whether samples sorted by name have the label of their neighbour far more often than shuffled ones.

    Two orders are tried: the natural one (text and numbers) and that of the last number in the name. The chance level
    is that of shuffled labels. None for fewer than 20 samples, too few to tell.
    """
    if len(names) < 20:
        return None
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    random = np.random.default_rng(seed)
    pairs = len(codes) - 1
    shuffled = np.array([_equal_neighbours(random.permutation(codes)) for _ in range(_SHUFFLES)])
    chance, spread = shuffled.mean(), max(float(shuffled.std()), 1.0)
    orders: tuple[tuple[str, Callable[[str], tuple[object, ...]]], ...] = (
        ("sorted by name", _natural),
        ("sorted by the last number in the name", _last_number),
    )
    for words, key in orders:
        order = _sorted_with_random_ties([key(name) for name in names], random)
        equal = _equal_neighbours(codes[order])
        if equal > chance + max(_SURPRISE * spread, _EXCESS * (pairs - chance)):
            detail = f"{words}, {equal} of {pairs} neighbours have the same label, {chance:.0f} by chance"
            return Giveaway(detail, len(names), tuple(names[i] for i in order[:3]))
    return None


def _equal_neighbours(codes: np.ndarray) -> int:
    return int(np.count_nonzero(codes[1:] == codes[:-1]))


def _sorted_with_random_ties(keys: Sequence[tuple[object, ...]], random: np.random.Generator) -> np.ndarray:
    """Equal names must not keep the order of the file, which may well be that of the labels."""
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return np.lexsort((random.permutation(len(keys)), np.array([ranks[key] for key in keys])))


def _natural(name: str) -> tuple[object, ...]:
    # Every odd part is a number, so that two names compare part by part.
    return tuple(int(part) if i % 2 else part for i, part in enumerate(_DIGITS.split(name)))


def _last_number(name: str) -> tuple[object, ...]:
    numbers = _DIGITS.findall(name)
    return (int(numbers[-1]),) if numbers else (-1,)
