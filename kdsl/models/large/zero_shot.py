"""A large model that is not trained: behind a server, fine-tuned elsewhere, or asked without any examples."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.data.splits import stratified_folds
from kdsl.fields.table import FieldTable
from kdsl.models.calibrated import Calibrated
from kdsl.models.label_answers import calibrate
from kdsl.models.large.answering import Answering, AnsweringClassifier
from kdsl.models.large.classifier import LargeClassifier
from kdsl.models.large.model import LargeModel
from kdsl.sample import Task

_log = logging.getLogger(__name__)

MOST_ASKED = 1000
"""More training samples than this are not asked about: the arbiter has two parameters to fit."""
CALIBRATION_FOLDS = 5


@dataclass(frozen=True)
class ZeroShot:
    """Asks the model about training samples, which it never saw. Implements `CalibratingTrainer`."""

    large: LargeModel
    task: Task
    answers: Path
    """Where answers are kept, so that nothing is asked twice."""
    seed: int = 0

    def fit_calibrated(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Calibrated:
        """See `CalibratingTrainer.fit_calibrated`. Raises KdslError for a model none of whose answers is a label."""
        names = [self.task.label_names[label] for label in labels]
        prompts = self.large.prompts.fitted([(self.task, table, names)])
        classifier = self.large.classifier(self.task, None, prompts)
        if self.large.answers_only:
            calibrated = self._answering(classifier, table, labels, n_labels)
        else:
            calibrated = self._scored(classifier, table, labels, n_labels)
        classifier.strays.require_any(self.large.weights.name, f"a label of {self.task.name}", least=1)
        if classifier.strays.strays:
            _log.warning(
                "%s: %s", self.large.weights.name, classifier.strays.told(f"none of the labels of {self.task.name}")
            )
        return calibrated

    def _scored(
        self, classifier: LargeClassifier, table: FieldTable, labels: NDArray[np.int64], n_labels: int
    ) -> Calibrated:
        unseen = self._unseen(table)
        unseen = self._at_most(unseen, labels)
        rows = np.flatnonzero(unseen)
        probabilities = np.full((len(table), n_labels), 1 / n_labels)
        probabilities[rows] = classifier.keeping_answers(self.answers).predict(table.select(rows)).probabilities
        return Calibrated(classifier, probabilities, unseen)

    def _answering(
        self, classifier: LargeClassifier, table: FieldTable, labels: NDArray[np.int64], n_labels: int
    ) -> Calibrated:
        """What an answer is worth is learned from the samples, so their own probabilities are out of fold."""
        answering = Answering(classifier)
        asked = self._at_most(self._unseen(table), labels)
        rows = np.flatnonzero(asked)
        answers = answering.answers(table.select(rows), self.answers)
        folds = stratified_folds(labels[rows], min(CALIBRATION_FOLDS, len(rows)), self.seed)
        probabilities = np.full((len(table), n_labels), 1 / n_labels)
        for fold in np.unique(folds):
            inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            learned = calibrate(answers.select(outside), labels[rows][outside], n_labels)
            probabilities[rows[inside]] = learned.probabilities(answers.select(inside))
        calibration = calibrate(answers, labels[rows], n_labels)
        return Calibrated(AnsweringClassifier(answering, calibration), probabilities, asked)

    def _at_most(self, rows: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """About `MOST_ASKED` of the rows, if they are more."""
        if rows.sum() <= MOST_ASKED:
            return rows
        places = np.flatnonzero(rows)
        chosen = np.zeros_like(rows)
        chosen[places] = stratified_folds(labels[places], -(-len(places) // MOST_ASKED), self.seed) == 0
        return chosen

    def _unseen(self, table: FieldTable) -> NDArray[np.bool_]:
        """All samples, unless what lies beside the model says which of them were held out: [n_samples]."""
        record = self.large.weights.training_record()
        held_out = () if record is None else record.held_out.get(self.task.name, ())
        unseen = np.array([row.sample.id in set(held_out) for row in table.rows], dtype=bool)
        return unseen if unseen.sum() > 1 else np.ones(len(table), dtype=bool)
