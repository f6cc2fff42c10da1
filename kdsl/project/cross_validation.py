"""Cross-validation of the whole: vocabulary, rules, classifier and arbiter see nothing of the samples they predict."""

import os
from collections.abc import Callable

import numpy as np

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.evaluate.predictions import task_result
from kdsl.evaluate.report import AnyResult
from kdsl.label_matrix import is_labelled
from kdsl.progress import Advance, reported
from kdsl.project.fitting import advances, covered_rows, fit
from kdsl.project.large import with_learners
from kdsl.project.mining import decided_rules
from kdsl.project.project import Project
from kdsl.project.task import Labels, TaskProject
from kdsl.project.without_labels import labelled_tasks

Progress = Callable[[int, str], None]
"""Called as progress(fold, what was done) after every piece of work of `fit`."""


def cross_validate(own: TaskProject, k: int, progress: Progress | None = None, workers: int = 2) -> AnyResult:
    """What model, rules and both say about every sample when all of them come from `fit` on the other k-1 folds.

    Raises KdslError for a sample without a label of the task, and where the samples are too few for `k` folds.
    """
    folds = labelled_folds(own, k)
    decisions: dict[int, AnyDecision] = {}
    for fold in range(k):
        outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

        def advance(done: str, fold: int = fold) -> None:
            if progress is not None:
                progress(fold, done)

        fitted = fit(own.select(outside), workers=workers, advance=advance)
        decisions |= zip(inside.tolist(), fitted.decide(own.table.select(inside)), strict=True)
    samples = [row.sample for row in own.table.rows]
    return task_result(own.task, samples, (decisions[index].record() for index in range(len(samples))))


def labelled_folds(own: TaskProject, k: int) -> Labels:
    """The fold of every sample, [n_samples]; errors as of `cross_validate`."""
    unlabelled = np.flatnonzero(~is_labelled(own.labels))
    if len(unlabelled):
        sample = own.table.rows[unlabelled[0]].sample
        raise KdslError(
            f"{own.task.name}: sample {sample.id!r} has the label {sample.answer!r}, which is none of the task's; "
            "cross-validation needs labelled samples"
        )
    return stratified_folds(own.labels, k, own.seed)


def cross_validate_project(project: Project, k: int, workers: int | None = None) -> list[AnyResult]:
    """What model, rules and both say about the training samples, everything made without the fold they are in.

    Rules that people wrote take part as they stand; what they decided about mined rules counts where a fold's mining
    finds these again. Of a recorded model only the samples that its file covers take part. Raises KdslError for
    samples without a label, or fewer than `k`.
    """
    results = []
    for own in held_out_tasks(project):
        with reported(project.progress, f"{own.task.name}: fold 1 of {k}", k * advances(own)) as advance:

            def tell(fold: int, done: str, name: str = own.task.name, advance: Advance = advance) -> None:
                advance(f"{name}: fold {fold + 1} of {k}")

            results.append(cross_validate(own, k, tell, workers or os.cpu_count() or 1))
    return results


def held_out_tasks(project: Project) -> list[TaskProject]:
    """The tasks of a project as they are fitted on some of their samples, with what people decided about rules."""
    tasks = TaskProject.all_of(project, labelled_tasks(project, "cross-validation"))
    found = []
    for own in with_learners(project, tasks, holding_out=True):
        covered = own.select(np.flatnonzero(covered_rows(own, own.require_learn()(()))))
        found.append(covered.deciding(decided_rules(project, own.task)))
    return found
