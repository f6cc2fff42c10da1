"""What a rule would do if it were saved as it is being written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.bitmaps import Flags, Indices, unpack
from kdsl.review.store import StoredRule
from kdsl.review.task_index import Hits, TaskIndex
from kdsl.rules.condition import Condition

SHOWN = 12


@dataclass(frozen=True)
class Preview:
    """Counts on labelled samples, and samples that the saved rule hits and this one does not, or the other way round,
    right ones last. Samples are positions in `known`."""

    known: Hits
    """Where the rule was tried."""
    wrong: tuple[int, ...]
    """Hits on samples of other labels, the first few; of `wrong_total`."""
    wrong_total: int
    hits: int
    correct: int
    positives: int
    samples: int
    gained: tuple[int, ...]
    gained_right: int
    lost: tuple[int, ...]
    lost_right: int
    gained_total: int
    lost_total: int


def preview(index: TaskIndex, conditions: Sequence[Condition], label: str, saved: StoredRule | None) -> Preview:
    """`saved` None is a new rule: nothing is lost, and all hits are gained."""
    names = index.task.label_names
    known = index.known(*conditions, *(() if saved is None else saved.rule.conditions))
    truth = known.having(names.index(label) if label in names else -1)
    now = known.flags(conditions)
    before = np.zeros_like(now) if saved is None else unpack(known.bits(saved), len(now))
    gained, lost = np.flatnonzero(now & ~before), np.flatnonzero(before & ~now)
    return Preview(
        known=known,
        wrong=tuple(np.flatnonzero(now & ~truth)[:SHOWN].tolist()),
        wrong_total=int((now & ~truth).sum()),
        hits=int(now.sum()),
        correct=int((now & truth).sum()),
        positives=int(truth.sum()),
        samples=len(truth),
        gained=_wrong_first(gained, truth),
        gained_right=int(truth[gained].sum()),
        lost=_wrong_first(lost, truth),
        lost_right=int(truth[lost].sum()),
        gained_total=len(gained),
        lost_total=len(lost),
    )


def _wrong_first(rows: Indices, truth: Flags) -> tuple[int, ...]:
    """The first few of the samples, those of other labels before those that are right."""
    return tuple(rows[np.argsort(truth[rows], kind="stable")[:SHOWN]].tolist())
