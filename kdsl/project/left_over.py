"""How good a classifier is on labelled samples that were too many to be learned from, and whether more would help."""

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.left_over import LeftOver, Loss
from kdsl.arbiter.trained import TrainedTask
from kdsl.data.splits import stratified_sample
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import label_array, several
from kdsl.models.calibrated import CalibratingTrainer
from kdsl.models.classifier import Classifier
from kdsl.project.task import TaskProject

MOST_LOOKED_AT = 20_000
"""Of the samples left over: of so many the loss is known to two digits."""
_FLOOR = 1e-15


def left_over(own: TaskProject, trained: TrainedTask) -> LeftOver | None:
    """The losses; None where all labelled samples are learned from, and for a model that is too costly for it."""
    learner = own.require_learn()(())
    if not own.rest or isinstance(learner, CalibratingTrainer):
        return None
    labels = label_array(own.rest, own.task)
    rows = stratified_sample([sample.id for sample in own.rest], labels, MOST_LOOKED_AT, own.seed)
    asked = FieldTable([own.rest[row] for row in rows.tolist()], own.table.sidecars)
    truth = labels[rows]
    half = stratified_sample(own.sample_ids, own.labels, len(own.table) // 2, own.seed)
    by_half = learner.fit(own.table.select(half), own.labels[half], len(own.task.labels))
    return LeftOver(
        len(rows),
        _loss(trained.classifier, asked, truth, len(own.table)),
        _loss(by_half, asked, truth, len(half)),
    )


def _loss(classifier: Classifier, asked: FieldTable, truth: NDArray[np.int64], learned: int) -> Loss:
    probabilities = np.clip(classifier.predict(asked).probabilities, _FLOOR, 1 - _FLOOR)
    if several(truth):
        right = np.where(truth == 1, probabilities, 1 - probabilities)
        said = (probabilities >= 0.5) == (truth == 1)
        return Loss(learned, float(-np.log(right).mean()), float(said.all(axis=1).mean()))
    right = probabilities[np.arange(len(truth)), truth]
    return Loss(learned, float(-np.log(right).mean()), float((probabilities.argmax(axis=1) == truth).mean()))
