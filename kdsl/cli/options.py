"""The arguments that several commands share."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kdsl.project.project import Project

ProjectArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG | KEY=VALUE",
        help="Project file or its folder, ./kdsl.yaml by default, and changes to it such as seed=1.",
        show_default=False,
    ),
]


class Format(StrEnum):
    table = "table"
    json = "json"


WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes, one a core by default.", show_default=False)
]

FormatOption = Annotated[Format, typer.Option("--format", help="How results are printed to stdout.")]


def open_project(arguments: Sequence[str] | None) -> "Project":
    """The project of a command's `[CONFIG] [key=value ...]`: a first argument without `=` is the configuration."""
    from kdsl.project.project import Project

    path, overrides = None, [*(arguments or ())]
    if overrides and "=" not in overrides[0]:
        path = Path(overrides.pop(0))
    return Project.open(path, overrides)
