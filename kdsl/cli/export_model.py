"""kdsl export-model: the fine-tuned model as one directory that servers load without LoRA."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project


def export_model(
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="The folder to write: new, empty, or an earlier export.")
    ],
    arguments: ProjectArguments = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TASK", help="Of adapters: per_task, whose; else one is for all."),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(
            "--adapter",
            metavar="DIR",
            help="An adapter from elsewhere instead, such as LLaMA-Factory's or ms-swift's.",
        ),
    ] = None,
) -> None:
    """Write what kdsl train fine-tuned as one model without LoRA, which vLLM and others serve as it is.

    The folder's README.md holds the command that serves it, and what kdsl.yaml then says.
    """
    from kdsl.project.exporting import plan_export

    project = open_project(arguments)
    export = plan_export(project, task, adapter)
    typer.echo(f"{export}.", err=True)
    export.write(output, project.progress)
    typer.echo(output)
