"""kdsl init: a new project."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the project goes.", show_default=False)
    ] = Path("."),
) -> None:
    """Make a new project: a commented kdsl.yaml and its folders. Nothing that exists is touched."""
    from kdsl.project.create import create_project

    config = create_project(folder)
    typer.echo(f"{config} is ready. Put your samples into {folder / 'data'}, then run: kdsl check {config}")
