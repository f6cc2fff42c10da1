"""Training the tasks of a project."""

import os
from pathlib import Path

from kdsl.arbiter.arbiter import Arbiter
from kdsl.errors import KdslError
from kdsl.locks import claimed
from kdsl.progress import progress_bar
from kdsl.project.fitting import TRAINING_ADVANCES, train_task
from kdsl.project.large import trainers, tuners_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject


def train_project(project: Project) -> list[Arbiter]:
    """Train all tasks; nothing is trained when any of them lacks what training needs."""
    sidecars = project.learned_sidecars()
    minings = [TaskProject.of(project, task, sidecars) for task in project.tasks]
    for mining in minings:
        if not mining.archive.exists():
            raise KdslError(f"{mining.archive}: no such file; the arbiter needs mined rules, so run `kdsl mine` first")
    with claimed(folders=[project.config.checkpoint]):
        learning = trainers(project, minings)
        with progress_bar("Training", TRAINING_ADVANCES * len(minings)) as advance:
            return [train_task(mining, trainer, advance) for mining, trainer in zip(minings, learning, strict=True)]


def fine_tune_project(project: Project, deepspeed: Path | None = None) -> None:
    """Fine-tune what the project's tasks need; `kdsl train` then finds it done. KdslError where nothing can be."""

    sidecars = project.learned_sidecars()
    minings = [TaskProject.of(project, task, sidecars) for task in project.tasks]
    # Of several processes that train together the first claims it for all.
    with claimed(folders=[project.config.checkpoint] if os.environ.get("RANK", "0") == "0" else []):
        tuners = tuners_of(project, minings)
        if not tuners:
            raise KdslError(
                f"large: {project.config.large}: nothing is fine-tuned; name a model's directory or hub id"
            )
        for tuner in tuners:
            tuner.tune(deepspeed)
