"""What the rules leave open: samples that none covers, labels without rules, contradictions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import members
from kdsl.label_matrix import membership
from kdsl.review.queue import lower_bounds
from kdsl.review.task_index import Overview, TaskIndex

KINDS = ("uncovered", "contradiction", "model", "cell")


@dataclass(frozen=True)
class Gaps:
    """What active rules say about the training samples of a task."""

    said: NDArray[np.int64]
    """Label of the most trustworthy rule that hits, -1 where none does: [n_samples]."""
    contradiction: NDArray[np.bool_]
    """Whether rules of several labels hit, where a sample has one: [n_samples]."""
    table: NDArray[np.int64]
    """How many samples of the label in the row the rules take for the one in the column; the last column is none.

    Where a sample may have several labels, those are taken for another one that have not it as well.
    """
    votes: NDArray[np.bool_]
    """Which labels rules say: [n_samples, n_labels]."""
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
    votes = np.zeros((n_samples, n_labels), dtype=bool)
    for label in range(n_labels):
        hits = np.bitwise_or.reduce(overview.bits[usable][overview.labels[usable] == label], axis=0, initial=0)
        votes[members(hits), label] = True
    contradiction = np.zeros(n_samples, dtype=bool) if index.task.multi else votes.sum(axis=1) > 1
    present = set(overview.labels[usable].tolist())
    without = tuple(label for label in range(n_labels) if label not in present)
    return Gaps(said, contradiction, _table(index, said, votes), votes, without)


def _table(index: TaskIndex, said: NDArray[np.int64], votes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`Gaps.table` of what rules say."""
    n_labels = votes.shape[1]
    table = np.zeros((n_labels, n_labels + 1), dtype=np.int64)
    if index.task.multi:
        having = membership(index.labels, n_labels)
        table[:, :-1] = having.T.astype(np.int64) @ (votes & ~having)
        np.fill_diagonal(table[:, :-1], (having & votes).sum(axis=0))
        table[:, -1] = (having & ~votes).sum(axis=0)
    else:
        known = index.labels >= 0
        np.add.at(table, (index.labels[known], np.where(said[known] < 0, n_labels, said[known])), 1)
    return table


def _cell(index: TaskIndex, gaps: Gaps, truth: int, said: int) -> NDArray[np.bool_]:
    """The samples of a cell of the table, with several labels a sample; `said` -1 is no rule. [n_samples]"""
    having = index.having(truth)
    if said < 0:
        return having & ~gaps.votes[:, truth]
    return having & gaps.votes[:, said] & (index.having(said) == (said == truth))


def rows_of(index: TaskIndex, gaps: Gaps, kind: str, truth: int | None, said: int | None) -> NDArray[np.int64]:
    """The samples of one kind of gap; of a cell of the table, those of its row and column (-1 is no rule)."""
    if kind == "uncovered":
        chosen = gaps.said < 0
    elif kind == "contradiction":
        chosen = gaps.contradiction
    elif kind == "model":
        chosen = against_model(index, gaps)
    else:
        chosen = np.ones(len(gaps.said), dtype=bool)
    if truth is not None and said is not None and index.task.multi:
        chosen = chosen & _cell(index, gaps, truth, said)
    elif truth is not None:
        chosen = chosen & index.having(truth)
    if said is not None and not index.task.multi:
        chosen = chosen & (gaps.said == said)
    return np.flatnonzero(chosen)


def against_model(index: TaskIndex, gaps: Gaps) -> NDArray[np.bool_]:
    """The samples on which rules say a label that the model does not: [n_samples]."""
    if index.predictions is None:
        return np.zeros(len(gaps.said), dtype=bool)
    denied = np.stack([index.predictions.denies(label) for label in range(gaps.votes.shape[1])], axis=1)
    if index.task.multi:
        chosen = (gaps.votes & denied).any(axis=1)
    else:
        chosen = (gaps.said >= 0) & denied[np.arange(len(gaps.said)), gaps.said]
    return np.asarray(chosen, dtype=bool)
