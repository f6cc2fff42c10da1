"""What one adapter for all tasks costs each of them: trained both ways, compared, and written down."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.label_matrix import require_one_label
from kdsl.project.large import JOINT, large_model, tuners_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject

if TYPE_CHECKING:
    from kdsl.training.examples import Example
    from kdsl.training.seesaw import Seesaw
    from kdsl.training.tuning import Tuner


def compare_adapters(project: Project) -> "Seesaw":
    """Fine-tune one adapter for each task and one for all, as far as they are not there, and score them all.

    On the test samples, where `data.test` names any, else on the held-out samples that training stopped on. Raises
    KdslError for a project of one task, or without a model that LoRA adapters can be trained for.
    """
    require_one_label(project.tasks, "a comparison of adapters")
    config = project.config
    large = large_model(project)
    if len(project.tasks) < 2:
        raise KdslError("--seesaw compares tasks, but the project has one; name two or more in `tasks`")
    if large is None or not large.weights.tunable or config.training.method not in ("lora", "qlora"):
        raise KdslError(
            f"--seesaw compares LoRA adapters, which `large: {config.large}` with `training.method: "
            f"{config.training.method}` does not have; name a local model, and set `method: lora`"
        )
    from kdsl.training.fine_tuning import fine_tune
    from kdsl.training.seesaw import compare
    from kdsl.vlm.local import LocalModel

    tasks = TaskProject.all_of(project)
    tuners = [*tuners_of(project, tasks, "per_task"), tuners_of(project, tasks, "joint")[0]]
    names = [*(task.name for task in project.tasks), JOINT]
    folders = {name: large.weights.tuned_folder(name) for name in names}
    for tuner, folder in zip(tuners, folders.values(), strict=True):
        fine_tune(tuner.recipe, tuner.data(tuner.together), folder, project.progress)
    loaded = {name: f"adapter{number}" for number, name in enumerate(names)}
    adapters = {loaded[name]: folder for name, folder in folders.items()}
    weights = large.weights
    model = LocalModel.load(
        weights.name, weights.budget, weights.max_tokens, adapters=adapters, pictures=weights.pictures
    )
    labels = {task.name: task.label_names for task in project.tasks}
    return compare(model, loaded, folders, _examples(project, tuners[-1]), labels, tuners[-1].recipe)


def write_seesaw(folder: Path, seesaw: "Seesaw") -> None:
    """seesaw.json and seesaw.png."""
    from kdsl.files import write_atomically
    from kdsl.training.seesaw import seesaw_plot

    write_atomically(folder / "seesaw.json", json.dumps(seesaw.record(), ensure_ascii=False, indent=1) + "\n")
    write_atomically(folder / "seesaw.png", seesaw_plot(seesaw))


def _examples(project: Project, joint: "Tuner") -> "list[Example]":
    """Labelled samples that none of the adapters was trained on."""
    from kdsl.fields.table import FieldTable
    from kdsl.models.large.targets import marks_of
    from kdsl.training.examples import Example

    data = joint.data(joint.together)
    prompts = joint.recipe.prompts.fitted([part.trained for part in data])
    if project.config.data.test is None:
        return [e for part in data for e in part.examples(prompts, held_out=True)]
    sidecars = project.sidecars()
    examples = []
    for task in project.tasks:
        table = FieldTable([s for s in project.task_samples(task, "test") if s.label in task.label_names], sidecars)
        if not len(table):
            raise KdslError(
                f"{project.config.data.test}: no labelled samples of {task.name}, which --seesaw compares on"
            )
        examples += [
            Example(task.name, prompts.conversation(task, row), row.sample.label or "", marks=marks_of(task))
            for row in table.rows
        ]
    return examples
