"""The arguments that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

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
