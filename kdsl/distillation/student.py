"""The student: the project's own model trained on what was kept, and its predictions for the unlabelled samples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.distillation.agreement import Agreement, Labels, by_label, by_way, keeps
from kdsl.distillation.teacher import TeacherLabels
from kdsl.fields.table import FieldTable
from kdsl.models.calibrated import CalibratingTrainer
from kdsl.models.classifier import Predicted, Trainer
from kdsl.models.soft_labels import SoftLabels
from kdsl.sample import Task

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Kept:
    """Which unlabelled samples are learned from: [n_pool] bool."""

    all: Flags
    """By model and rules that were made from all of people's samples."""
    without: Mapping[int, Flags] = field(default_factory=dict)
    """By those that were made without a fold: these alone may be learned from by what predicts that fold."""


@dataclass(frozen=True)
class Judged:
    """What a student says about the unlabelled samples, and how good it is on people's samples that it never saw."""

    model: Labels
    """[n_pool]: the label of the student that learned from everything."""
    model_without: Mapping[int, Labels]
    """Fold → the labels of the one that learned without it."""
    weighted_f1: float


@dataclass(frozen=True)
class Student:
    """One task: people's samples, the unlabelled pool, and all that is said about it."""

    task: Task
    table: FieldTable
    labels: Labels
    folds: Labels
    pool: FieldTable
    teacher_labels: TeacherLabels
    rules: Labels
    """[n_pool]: the word of the rules; see `kdsl.distillation.rule_votes`."""
    rules_without: Mapping[int, Labels]
    """Fold → the word of the rules that were mined without it."""
    confidence: float
    trainer: Callable[[SoftLabels], Trainer | CalibratingTrainer]
    """What trains the project's model, given what the teacher adds."""

    def kept(self, judged: Judged) -> Kept:
        """What is learned from next."""
        without = {
            fold: keeps(self.teacher_labels, model, self.rules_without[fold], self.confidence)
            for fold, model in judged.model_without.items()
        }
        return Kept(keeps(self.teacher_labels, judged.model, self.rules, self.confidence), without)

    def agreement(self, judged: Judged) -> Agreement:
        """How far teacher, model and rules say the same about the pool."""
        said = self.teacher_labels, judged.model, self.rules, self.confidence
        return Agreement(tuple(by_way(*said)), tuple(by_label(*said, self.task.label_names)))

    def learn(self, kept: Kept, advance: Callable[[], None]) -> Judged:
        """Train with what was kept; `advance` is called after every training.

        A model that is too costly to be trained without each fold is judged on the samples that it holds out.
        """
        trainer = self.trainer(self.soft_labels(kept.all))
        n_labels = len(self.task.labels)
        if isinstance(trainer, CalibratingTrainer):
            calibrated = trainer.fit_calibrated(self.table, self.labels, n_labels)
            advance()
            unseen = calibrated.unseen
            f1 = _weighted_f1(self.labels[unseen], calibrated.probabilities[unseen])
            return Judged(self._word(calibrated.classifier.predict(self.pool)), {}, f1)
        model = self._word(trainer.fit(self.table, self.labels, n_labels).predict(self.pool))
        advance()
        found = np.empty((len(self.table), n_labels))
        without = {}
        for fold in np.unique(self.folds).tolist():
            inside, outside = np.flatnonzero(self.folds == fold), np.flatnonzero(self.folds != fold)
            learner = self.trainer(self.soft_labels(kept.without.get(fold, np.zeros(len(self.pool), dtype=bool))))
            assert not isinstance(learner, CalibratingTrainer)
            classifier = learner.fit(self.table.select(outside), self.labels[outside], n_labels)
            found[inside] = classifier.predict(self.table.select(inside)).probabilities
            without[fold] = self._word(classifier.predict(self.pool))
            advance()
        return Judged(model, without, _weighted_f1(self.labels, found))

    def soft_labels(self, kept: Flags) -> SoftLabels:
        """The samples that `kept` [n_pool] marks, with the teacher's labels."""
        rows = np.flatnonzero(kept)
        return SoftLabels(self.pool.select(rows), self.teacher_labels.shares[rows])

    @staticmethod
    def _word(predicted: Predicted) -> Labels:
        return predicted.probabilities.argmax(axis=1)


def _weighted_f1(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, probabilities.argmax(axis=1), average="weighted", zero_division=0.0))
