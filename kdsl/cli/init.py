"""kdsl init: a new project."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the project goes.", show_default=False)
    ] = Path("."),
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="NAME",
            help="A shipped task, with the rules that ship for it, or a task file; give several one by one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a new project: a commented kdsl.yaml and its folders. Nothing that exists is touched."""
    from kdsl.project.create import create_project
    from kdsl.project.project import Project

    config = create_project(folder, task or None)
    typer.echo(f"{config} is ready. Put your samples into {folder / 'data'}, then run: kdsl check {config}")
    if not task:
        return
    project = Project.open(config)
    for each in project.tasks:
        if count := len(project.rule_base(each)):
            rules = folder / "rules" / each.name
            typer.echo(
                f"{rules}: {count} rules that people accepted. They count before any training: kdsl predict {config}"
            )
