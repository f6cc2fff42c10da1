"""Cross-validation of the whole: vocabulary, rules, classifier and arbiter see nothing of the samples they predict."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.fit import SmallModel, fit_task
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.evaluate.predictions import task_result
from kdsl.evaluate.report import TaskResult
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.models.calibrated import CalibratingTrainer
from kdsl.models.classifier import Trainer
from kdsl.sample import Sample, Task, label_indices

Progress = Callable[[int, int, int], None]
"""Called as progress(fold, mined fold, label) after every search."""


def cross_validate(
    task: Task,
    samples: Sequence[Sample],
    sidecars: Sidecars,
    trainer: Trainer | CalibratingTrainer,
    settings: MiningSettings,
    k: int,
    seed: int,
    progress: Progress | None = None,
    workers: int = 2,
    small: SmallModel | None = None,
) -> TaskResult:
    """What model, rules and both say about every sample when all of them come from the other k-1 folds.

    Raises KdslError for a sample without a label of the task, and where the samples are too few for `k` folds.
    """
    labels, folds = labelled_folds(task, samples, k, seed)
    decisions: dict[int, Decision] = {}
    table = FieldTable(samples, sidecars)
    for fold in range(k):
        outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        told = None if progress is None else lambda part, label, fold=fold: progress(fold, part, label)
        fitted = fit_task(
            task, table.select(outside), labels[outside], trainer, settings, seed, told, workers, small
        )  # fmt: skip
        decisions |= zip(inside.tolist(), fitted.decide(table.select(inside)), strict=True)
    return task_result(task, samples, (decisions[index].record() for index in range(len(samples))))


def labelled_folds(
    task: Task, samples: Sequence[Sample], k: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels as indices, and folds, both [n_samples]; errors as of `cross_validate`."""
    labels = np.array(label_indices(samples, task), dtype=np.int64)
    unlabelled = np.flatnonzero(labels < 0)
    if len(unlabelled):
        sample = samples[unlabelled[0]]
        raise KdslError(
            f"{task.name}: sample {sample.id!r} has the label {sample.label!r}, which is none of the task's; "
            "cross-validation needs labelled samples"
        )
    return labels, stratified_folds(labels, k, seed)
