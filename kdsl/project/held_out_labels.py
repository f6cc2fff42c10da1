"""What a classifier says about samples of labels that it never saw, for the detector of what belongs to no label."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.scope import FEWEST_LABELS, HeldOutLabels
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.project.task import Learner, TaskProject

GROUPS = 5
"""Of labels that are held out together; as many classifiers are trained."""


def held_out_labels(
    own: TaskProject, learner: Learner, probabilities: NDArray[np.float64], folds: NDArray[np.int64]
) -> list[HeldOutLabels]:
    """Every label but `other` is held out once, with a fold of the samples; none where there are too few labels.

    An embedded classifier is trained without the labels. Of any other, which may cost too much, it is
    `probabilities` [n_samples, n_labels], out of fold, without their share.
    """
    other, n_labels = own.task.other_index, len(own.task.labels)
    present = np.array([label for label in np.unique(own.labels) if label != other], dtype=np.int64)
    if len(present) < FEWEST_LABELS:
        return []
    groups = np.full(n_labels, -1)
    n_groups = min(GROUPS, len(present))
    groups[np.random.default_rng(own.seed).permutation(present)] = np.arange(len(present)) % n_groups
    rounds = []
    for group, fold in zip(range(n_groups), np.resize(np.unique(folds), n_groups), strict=True):
        seen = groups != group
        asked = np.flatnonzero((own.labels != other) & (~seen[own.labels] | (folds == fold)))
        if isinstance(learner, EmbeddedTrainer):
            rows = np.flatnonzero(seen[own.labels] & (folds != fold))
            said = _without(own, learner, seen, rows, asked)
        else:
            said = np.where(seen, probabilities[asked], 0.0)
        rounds.append(HeldOutLabels(asked, ~seen[own.labels[asked]], seen, said))
    return rounds


def _without(
    own: TaskProject,
    trainer: EmbeddedTrainer,
    seen: NDArray[np.bool_],
    rows: NDArray[np.int64],
    asked: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Probabilities [n_asked, n_labels] of a classifier that learned from `rows` and knows only labels in `seen`."""
    known = np.flatnonzero(seen)
    task = replace(own.task, labels=tuple(own.task.labels[label] for label in known))
    learner = replace(trainer, task=task, soft_labels=None)
    classifier = learner.fit(own.table.select(rows), np.searchsorted(known, own.labels[rows]), len(known))
    said = np.zeros((len(asked), len(seen)))
    said[:, known] = classifier.predict(own.table.select(asked)).probabilities
    return said
