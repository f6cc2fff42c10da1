"""What the large model of a project is shown about a sample."""

import logging
from dataclasses import replace
from pathlib import Path

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import require_one_label
from kdsl.project.large import informed, prompts_of
from kdsl.project.project import Project
from kdsl.project.task import TaskProject
from kdsl.sample import Sample
from kdsl.vlm.conversation import Conversation

_log = logging.getLogger(__name__)


def conversation_of(project: Project, sample: Sample) -> Conversation:
    """What a model that is trained on all training samples is asked about `sample`."""
    task = next(task for task in project.tasks if task.name == sample.task)
    require_one_label([task], "a model's prompt")
    sidecars = project.learned_sidecars()
    prompts = prompts_of(project)
    try:
        for wanted, takes in ((sample.images, prompts.sees), (sample.audio, prompts.hears)):
            if wanted:
                takes()
    except KdslError as error:
        _log.warning("%s; shown is what a model that sees and does not hear is asked", error.sentence)
        prompts = replace(prompts, sees=lambda: True, hears=lambda: False)
    if prompts.neighbours and project.config.prompt.embeddings == "model":
        _log.warning("prompt.embeddings: as no model is loaded, texts make neighbours here, and may make other ones")
    if prompts.remembers:
        table = TaskProject.of(project, task).table
        labels = [row.sample.label or "" for row in table.rows]
        prompts = informed(project, prompts, holding_out=False).fitted([(task, table, labels)])
    return prompts.conversation(task, FieldTable([sample], sidecars).rows[0])


def find_sample(project: Project, identity: str, input: Path | None) -> Sample:
    """The one sample of that id in `input`, or else in data.train; KdslError where none or several have it."""
    reading = project.reading()
    samples = project.samples() if input is None else read_samples(input, project.tasks, reading=reading)
    place = project.train_file if input is None else input
    found = {sample.task: sample for sample in reversed(samples) if sample.id == identity}
    if not found:
        known = f", such as {samples[0].id!r}" if samples else ""
        raise KdslError(f"{place}: no sample has the id {identity!r}; name one with --sample ID{known}")
    if len(found) > 1:
        names = " and ".join(task.name for task in project.tasks if task.name in found)
        raise KdslError(f"{place}: samples of {names} have the id {identity!r}; leave one task with tasks=[TASK]")
    [sample] = found.values()
    return sample
