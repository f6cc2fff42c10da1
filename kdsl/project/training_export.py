"""What a project would fine-tune its large model on, written for other trainers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.locks import claimed
from kdsl.project.large import tuners_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject

if TYPE_CHECKING:
    from kdsl.models.large.export_record import Trainer
    from kdsl.training.export.folder import Exported


def export_training_set(project: Project, trainer: "Trainer", folder: Path) -> "Sequence[Exported]":
    """Write what `kdsl train` would fine-tune on into `folder`, with `adapters: per_task` into one below it a task.

    Raises KdslError where nothing would be fine-tuned, and as `kdsl.training.export.folder.write_export` does.
    """
    from kdsl.training.export.folder import write_export

    config, tasks = project.config, TaskProject.all_of(project)
    with claimed(folders=[config.checkpoint, folder]):
        tuners = tuners_of(project, tasks)
        if not tuners:
            raise KdslError(f"large: {config.large}: nothing is fine-tuned; name a model's directory or hub id")
        if config.adapters == "joint":
            tuners = tuners[:1]
        exported = []
        for tuner in tuners:
            own = [samples.task for samples in tuner.together]
            tested = own if "test" in project.splits else []
            test = [(task, project.field_table(task, "test")) for task in tested]
            place = folder if config.adapters == "joint" else folder / tuner.task.name
            data = tuner.data(tuner.together)
            exported.append(write_export(trainer, tuner.recipe, data, test, place, project.progress))
    return exported
