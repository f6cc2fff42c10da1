"""What the rules leave open: samples that none covers, labels without rules, contradictions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import members
from kdsl.review.queue import lower_bounds
from kdsl.review.task_index import Overview, TaskIndex

KINDS = ("uncovered", "contradiction", "model", "cell")


@dataclass(frozen=True)
class Gaps:
    """What active rules say about the training samples of a task."""

    said: NDArray[np.int64]
    """Label of the most trustworthy rule that hits, -1 where none does: [n_samples]."""
    contradiction: NDArray[np.bool_]
    """Whether rules of several labels hit: [n_samples]."""
    table: NDArray[np.int64]
    """How many samples of the label in the row the rules take for the one in the column; the last column is none."""
    without: tuple[int, ...]
    """Labels that no active rule has."""


def find_gaps(index: TaskIndex, overview: Overview) -> Gaps:
    """Rules are trusted by their reliability, else by the lower bound of their precision."""
    n_samples, n_labels = len(index.samples), len(index.task.labels)
    bounds = lower_bounds(overview)
    trust = np.array(
        [
            bound if entry is None or entry.reliability is None else entry.reliability
            for entry, bound in zip(overview.statistics, bounds, strict=True)
        ],
        dtype=np.float64,
    )
    said = np.full(n_samples, -1, dtype=np.int64)
    usable = np.flatnonzero(overview.active & (overview.labels >= 0))
    open_ = np.full(overview.bits.shape[1], np.iinfo(np.uint64).max, dtype=np.uint64)  # samples nothing is said about
    for rule in usable[np.argsort(-trust[usable], kind="stable")]:
        new = overview.bits[rule] & open_
        if new.any():
            said[members(new)] = overview.labels[rule]
            open_ &= ~new
    several = np.zeros(n_samples, dtype=np.int64)
    for label in range(n_labels):
        votes = np.bitwise_or.reduce(overview.bits[usable][overview.labels[usable] == label], axis=0, initial=0)
        several[members(votes)] += 1
    table = np.zeros((n_labels, n_labels + 1), dtype=np.int64)
    known = index.labels >= 0
    np.add.at(table, (index.labels[known], np.where(said[known] < 0, n_labels, said[known])), 1)
    present = set(overview.labels[usable].tolist())
    return Gaps(said, several > 1, table, tuple(label for label in range(n_labels) if label not in present))


def rows_of(index: TaskIndex, gaps: Gaps, kind: str, truth: int | None, said: int | None) -> NDArray[np.int64]:
    """The samples of one kind of gap; of a cell of the table, those of its row and column (-1 is no rule)."""
    if kind == "uncovered":
        chosen = gaps.said < 0
    elif kind == "contradiction":
        chosen = gaps.contradiction
    elif kind == "model":
        predictions = np.full(len(gaps.said), -1) if index.predictions is None else index.predictions.said
        chosen = (gaps.said >= 0) & (predictions >= 0) & (gaps.said != predictions)
    else:
        chosen = np.ones(len(gaps.said), dtype=bool)
    if truth is not None:
        chosen = chosen & (index.labels == truth)
    if said is not None:
        chosen = chosen & (gaps.said == said)
    return np.flatnonzero(chosen)
