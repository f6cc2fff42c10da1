"""What several commands share: arguments and options, and how they print results."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a server may take for an answer.")]
Retries = Annotated[int, typer.Option("--retries", min=0, help="How often a failed request is made again.")]


def open_project(arguments: Sequence[str] | None) -> "Project":
    """The project of a command's `[CONFIG] [key=value ...]`: a first argument without `=` is the configuration."""
    from kdsl.cli.progress import progress_bar
    from kdsl.project.project import Project

    path, overrides = None, [*(arguments or ())]
    if overrides and "=" not in overrides[0]:
        path = Path(overrides.pop(0))
    return Project.open(path, overrides, progress_bar)


def print_json(value: Any) -> None:
    """Results as `--format json` prints them."""
    import json

    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def first_failures(failed: Sequence[tuple[str, str]], of: int) -> list[str]:
    """What to tell of `of` samples of which those in `failed`, (id, reason), have no answer: how many, and why."""
    first: dict[str, str] = {}
    for identity, reason in failed:
        first.setdefault(reason, identity)
    if not failed:
        return []
    lines = [f"{len(failed)} of {of} samples have no answer; the same command asks them again:"]
    return lines + [f"  {identity}: {reason}" for reason, identity in list(first.items())[:3]]
