"""Rounds of self-training: the model learns what was kept, the unlabelled samples are judged again, until it ends."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kdsl.distillation.agreement import Agreement
from kdsl.distillation.student import Flags, Kept, Student

FEW = 0.01
"""Another round is not worth it when it would add less than this share of the unlabelled samples."""


@dataclass(frozen=True)
class Round:
    """One round; number 0 is the model that learned from people's labels alone."""

    number: int
    kept: int
    """Unlabelled samples that were learned from."""
    new: int
    """Of these, the ones that the round before did not have."""
    weighted_f1: float
    """Of the model that learned them, on people's samples that it never saw."""


@dataclass(frozen=True)
class SelfTraining:
    """All rounds of one task, and what the best one kept."""

    rounds: tuple[Round, ...]
    ended: str
    """Why there was no further round."""
    best: int
    """The number of the best round; 0 when nothing was kept in any."""
    kept: Flags
    """[n_pool]: what the best round learned from."""
    agreement: Agreement
    """How teacher, model and rules agreed when the best round began."""


def self_training(student: Student, rounds: int, advance: Callable[[], None]) -> SelfTraining:
    """At most so many rounds; `advance` is called after every training.

    It ends when weighted F1 does not rise, or when fewer than `FEW` of the samples would be new. The best round after
    number 0 is taken, the first of equals.
    """
    n = len(student.pool)
    before = Kept(np.zeros(n, dtype=bool))
    judged = student.learn(before, advance)
    done = [Round(0, 0, 0, judged.weighted_f1)]
    best, ended = (0, before.all, student.agreement(judged)), f"distill.rounds is {rounds}"
    for number in range(1, rounds + 1):
        now = student.kept(judged)
        new = int((now.all & ~before.all).sum())
        if not now.all.any():
            ended = "nothing is kept"
            break
        if number > 1 and new < FEW * n:
            ended = f"only {new} more samples would be kept"
            break
        agreed = student.agreement(judged)
        judged = student.learn(now, advance)
        done.append(Round(number, int(now.all.sum()), new, judged.weighted_f1))
        if best[0] == 0 or judged.weighted_f1 > done[best[0]].weighted_f1:
            best = number, now.all, agreed
        if judged.weighted_f1 <= done[-2].weighted_f1:
            ended = "weighted F1 does not rise"
            break
        before = now
    number, kept, agreed = best
    return SelfTraining(tuple(done), ended, number, kept, agreed)
