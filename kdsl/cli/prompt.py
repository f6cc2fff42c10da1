"""kdsl prompt: what a large model is shown about a sample."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project


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
    from kdsl.project.prompt import conversation_of, find_sample
    from kdsl.vlm.conversation import in_words

    project = open_project(arguments)
    typer.echo(in_words(conversation_of(project, find_sample(project, sample, input))))
