"""kdsl export-fusionbrain: what is handed in to FusionBrain Challenge 3.0."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project


class Weights(StrEnum):
    copy = "copy"
    mount = "mount"


def export_fusionbrain(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write, new or empty.", show_default=False)],
    arguments: ProjectArguments = None,
    weights: Annotated[
        Weights,
        typer.Option("--weights", help="Copy the weights into OUT, or leave them to be mounted there."),
    ] = Weights.copy,
    check: Annotated[
        bool, typer.Option("--check", help="Then answer a dialogue with it, in a process that knows nothing else.")
    ] = False,
) -> None:
    """Write the model of `large:` as code, weights and image for FusionBrain Challenge 3.0."""
    from kdsl.chat.fusionbrain.check import check_export
    from kdsl.project.fusionbrain import export_fusionbrain as export

    export(open_project(arguments), out, weights is Weights.copy)
    typer.echo(out)
    returned = check_export(out) if check else []
    for each in returned:
        typer.echo(f"{each.function}: {each.problem or repr(each.value)}")
    if any(each.problem for each in returned):
        raise typer.Exit(1)
