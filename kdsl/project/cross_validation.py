"""Cross-validation of a project's tasks, as `kdsl evaluate --cross-validate` and `kdsl run` do it."""

import os

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.fit import SmallModel
from kdsl.evaluate.cross_validation import cross_validate
from kdsl.evaluate.report import TaskResult
from kdsl.fields.table import FieldTable
from kdsl.mining.proposer import Proposer, Validator
from kdsl.progress import progress_bar
from kdsl.project.fitting import covered_rows
from kdsl.project.large import trainers
from kdsl.project.project import Project
from kdsl.project.small_parts import small_parts
from kdsl.project.task import TaskProject
from kdsl.sample import Task


def cross_validate_project(project: Project, k: int, workers: int | None = None) -> list[TaskResult]:
    """What model, rules and both say about the training samples, everything made without the fold they are in.

    Of a recorded model only the samples that its file covers take part. Rule files of the project are not looked at.
    Raises KdslError for samples without a label, or fewer than `k`.
    """
    sidecars = project.learned_sidecars()
    minings = [TaskProject.of(project, task, sidecars) for task in project.tasks]
    results = []
    for mining, trainer in zip(minings, trainers(project, minings, cross_validating=True), strict=True):
        task = mining.task
        rows = np.flatnonzero(covered_rows(mining, trainer))
        samples = [mining.table.rows[row].sample for row in rows]
        total = k * (min(mining.settings.folds, len(samples)) + 1) * len(task.labels)
        with progress_bar(f"{task.name}: fold 1 of {k}", total) as advance:
            results.append(
                cross_validate(
                    task,
                    samples,
                    sidecars,
                    trainer,
                    mining.settings,
                    k,
                    project.config.seed,
                    lambda fold, part, label, name=task.name: advance(f"{name}: fold {fold + 1} of {k}"),
                    workers or os.cpu_count() or 1,
                    small_of(project, task),
                )
            )
    return results


def small_of(project: Project, task: Task) -> SmallModel:
    """What the small model does in mining samples of `task`; it sees no others."""

    def parts(table: FieldTable, labels: NDArray[np.int64]) -> tuple[Proposer, Validator | None]:
        made = small_parts(project, task, table, labels)
        return made.proposer, made.validator

    return parts
