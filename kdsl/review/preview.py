"""What a rule would do if it were saved as it is being written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import unpack
from kdsl.review.store import StoredRule
from kdsl.review.task_index import TaskIndex
from kdsl.rules.condition import Condition

SHOWN = 12


@dataclass(frozen=True)
class Preview:
    """Hits [n_samples] and counts on the training samples, and samples that the saved rule hits and this one does not,
    or the other way round, right ones last."""

    flags: NDArray[np.bool_]
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
    truth = index.having(names.index(label) if label in names else -1)
    now = index.flags(conditions)
    before = np.zeros_like(now) if saved is None else unpack(index.bits(saved), len(now))
    gained, lost = np.flatnonzero(now & ~before), np.flatnonzero(before & ~now)
    return Preview(
        flags=now,
        wrong=tuple(np.flatnonzero(now & ~truth)[:SHOWN].tolist()),
        wrong_total=int((now & ~truth).sum()),
        hits=int(now.sum()),
        correct=int((now & truth).sum()),
        positives=int(truth.sum()),
        samples=len(truth),
        gained=tuple(sorted(gained.tolist(), key=lambda row: bool(truth[row]))[:SHOWN]),
        gained_right=int(truth[gained].sum()),
        lost=tuple(sorted(lost.tolist(), key=lambda row: bool(truth[row]))[:SHOWN]),
        lost_right=int(truth[lost].sum()),
        gained_total=len(gained),
        lost_total=len(lost),
    )
