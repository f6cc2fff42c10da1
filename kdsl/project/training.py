"""Training the tasks of a project."""

import os
from dataclasses import replace
from pathlib import Path

from kdsl.arbiter.trained import TrainedTask
from kdsl.errors import KdslError
from kdsl.locks import claimed
from kdsl.mining.update import MinedRules
from kdsl.progress import Advance, reported
from kdsl.project.fitting import advances, fit
from kdsl.project.large import tuners_of, with_learners
from kdsl.project.left_over import left_over
from kdsl.project.mining import mined_rules_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.project.without_labels import cold_tasks, train_cold


def train_project(project: Project) -> list[TrainedTask]:
    """Train all tasks; nothing is trained when any of them lacks what training needs.

    A task without a single labelled sample goes by its labels' names and descriptions.
    """
    cold = cold_tasks(project)
    learned = [task for task in project.tasks if task not in cold]
    tasks = TaskProject.all_of(project, learned)
    mined = [mined_rules_of(project, task) for task in learned]
    with claimed(folders=[project.config.checkpoint]):
        trained = {task.name: train_cold(project, task) for task in cold}
        learning = with_learners(project, tasks) if tasks else []
        with reported(project.progress, "Training", sum(advances(own, mining=False) for own in tasks)) as advance:
            for own, found in zip(learning, mined, strict=True):
                trained[own.task.name] = _train(project, own, found, advance)
    return [trained[task.name] for task in project.tasks]


def _train(project: Project, own: TaskProject, mined: MinedRules, advance: Advance) -> TrainedTask:
    trained = fit(own, mined, advance=advance)
    trained = replace(trained, left_over=left_over(own, trained))
    trained.save(project.config.checkpoint / own.task.name, project.config.large)
    return trained


def fine_tune_project(project: Project, deepspeed: Path | None = None) -> None:
    """Fine-tune what the project's tasks need; `kdsl train` then finds it done. KdslError where nothing can be."""

    tasks = TaskProject.all_of(project)
    # Of several processes that train together the first claims it for all.
    with claimed(folders=[project.config.checkpoint] if os.environ.get("RANK", "0") == "0" else []):
        tuners = tuners_of(project, tasks)
        if not tuners:
            raise KdslError(
                f"large: {project.config.large}: nothing is fine-tuned; name a model's directory or hub id"
            )
        for tuner in tuners:
            tuner.tune(deepspeed)
