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


FormatOption = Annotated[Format, typer.Option("--format", help="How results are printed to stdout.")]
