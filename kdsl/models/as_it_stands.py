"""A large model that is not trained: behind a server, fine-tuned elsewhere, or asked without any examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.data.splits import stratified_folds
from kdsl.fields.table import FieldTable
from kdsl.models.calibrated import Calibrated
from kdsl.models.card import TrainingCard
from kdsl.models.large import LargeModel
from kdsl.sample import Task

MOST = 1000
"""More training samples than this are not asked about: the arbiter has two parameters to fit."""


@dataclass(frozen=True)
class AsItStands:
    """Asks the model about training samples, which it never saw. Implements `CalibratingTrainer`."""

    large: LargeModel
    task: Task
    answers: Path
    """Where answers are kept, so that nothing is asked twice."""
    seed: int = 0

    def fit_calibrated(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Calibrated:
        """See `CalibratingTrainer.fit_calibrated`."""
        classifier = self.large.classifier(self.task, None)
        unseen = self._unseen(table)
        if unseen.sum() > MOST:
            rows = np.flatnonzero(unseen)
            unseen[rows] = stratified_folds(labels[rows], -(-len(rows) // MOST), self.seed) == 0
        rows = np.flatnonzero(unseen)
        probabilities = np.full((len(table), n_labels), 1 / n_labels)
        probabilities[rows] = classifier.keeping_answers(self.answers).probabilities(table.select(rows))
        return Calibrated(classifier, probabilities, unseen)

    def _unseen(self, table: FieldTable) -> NDArray[np.bool_]:
        """All samples, unless the model's training card says which of them were held out: [n_samples]."""
        card = None if self.large.remote else TrainingCard.load(Path(self.large.name).expanduser())
        held_out = () if card is None else card.held_out.get(self.task.name, ())
        unseen = np.array([row.sample.id in set(held_out) for row in table.rows], dtype=bool)
        return unseen if unseen.sum() > 1 else np.ones(len(table), dtype=bool)
