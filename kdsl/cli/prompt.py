"""kdsl prompt: what a large model is shown about a sample."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import ProjectArguments

if TYPE_CHECKING:
    from kdsl.project.project import Project
    from kdsl.sample import Sample
    from kdsl.vlm.conversation import Conversation

_log = logging.getLogger(__name__)


def prompt(
    arguments: ProjectArguments = None,
    sample: Annotated[str, typer.Option("--sample", metavar="ID", help="The sample to ask about.")] = "",
    input: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Where the sample is; else in data.train.", show_default=False),
    ] = None,
) -> None:
    """Print the whole prompt for one sample, with what `prompt:` adds to it; no model is loaded.

    It draws on all training samples, but for those that are like the sample itself.
    """
    from kdsl.project.project import open_project

    project = open_project(arguments)
    typer.echo(in_words(conversation_of(project, _find(project, sample, input))))


def conversation_of(project: "Project", sample: "Sample") -> "Conversation":
    """What a model that is trained on all training samples is asked about `sample`."""
    from kdsl.fields.table import FieldTable
    from kdsl.project.large import informed, prompts_of
    from kdsl.project.task import TaskMining

    task = next(task for task in project.tasks if task.name == sample.task)
    sidecars = project.learned_sidecars()
    prompts = prompts_of(project)
    if prompts.neighbours and project.config.prompt.embeddings == "model":
        _log.warning("prompt.embeddings: as no model is loaded, texts make neighbours here, and may make other ones")
    if prompts.remembers:
        table = TaskMining.of(project, task, sidecars).table
        labels = [row.sample.label or "" for row in table.rows]
        prompts = informed(project, prompts, cross_validating=False).fitted([(task, table, labels)])
    return prompts.conversation(task, FieldTable([sample], sidecars).rows[0])


def in_words(conversation: "Conversation") -> str:
    """The texts as they are, and pictures as [picture: path]."""
    from kdsl.vlm.conversation import Picture

    return "".join(
        f"[picture: {piece.path}]" if isinstance(piece, Picture) else piece
        for message in conversation
        for piece in message.pieces
    )


def _find(project: "Project", identity: str, input: Path | None) -> "Sample":
    from kdsl.data.readers import read_samples
    from kdsl.errors import KdslError

    samples = project.samples() if input is None else read_samples(input, project.tasks)
    place = project.config.data.train if input is None else input
    found = {sample.task: sample for sample in reversed(samples) if sample.id == identity}
    if not found:
        known = f", such as {samples[0].id!r}" if samples else ""
        raise KdslError(f"{place}: no sample has the id {identity!r}; name one with --sample ID{known}")
    if len(found) > 1:
        names = " and ".join(task.name for task in project.tasks if task.name in found)
        raise KdslError(f"{place}: samples of {names} have the id {identity!r}; leave one task with tasks=[TASK]")
    [sample] = found.values()
    return sample
