"""What several commands share: arguments and options, and how they print results."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kdsl.project.project import Project
    from kdsl.sample import Task

_PROJECT = "Project file or its folder, ./kdsl.yaml by default"

ProjectArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROJECT | KEY=VALUE", help=f"{_PROJECT}, and changes to it such as seed=1.", show_default=False
    ),
]


def project_and(what: str, help: str) -> Any:
    """The argument of a command `[PROJECT] WHAT [key=value ...]`, for `taken_out`."""
    return typer.Argument(metavar=f"PROJECT | {what}", help=f"{_PROJECT}, and {help}", show_default=False)


class Format(StrEnum):
    table = "table"
    json = "json"


WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes, one a core by default.", show_default=False)
]

FormatOption = Annotated[Format, typer.Option("--format", help="How results are printed to stdout.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a server may take for an answer.")]
Retries = Annotated[int, typer.Option("--retries", min=0, help="How often a failed request is made again.")]
AskedModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A model's directory, hub id or address; the one that `small:` names by default.",
        show_default=False,
    ),
]


def not_stdout(output: Path | None) -> Path | None:
    """The callback of --output FILE: KdslError for stdout, where what a command says would stand among its results."""
    from kdsl.errors import KdslError

    if output is not None and (str(output) == "-" or _is_stdout(output)):
        raise KdslError(f"--output {output}: is the standard output; name a file of its own")
    return output


def _is_stdout(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except (OSError, ValueError):  # nothing is there yet, or who writes it says what is wrong
        return False


def open_project(arguments: Sequence[str] | None) -> "Project":
    """The project of a command's `[PROJECT] [key=value ...]`: the argument without `=` is its configuration."""
    from kdsl.cli.progress import progress_bar
    from kdsl.project.project import Project

    overrides = [*(arguments or ())]
    # One more without `=` is an override that is mistyped.
    name = next((each for each in overrides if "=" not in each), None)
    if name is not None:
        overrides.remove(name)
    return Project.open(None if name is None else Path(name), overrides, progress_bar)


def taken_out(what: str, arguments: Sequence[str] | None) -> tuple[str, list[str]]:
    """Of a command's `[PROJECT] WHAT [key=value ...]`: what it is about, and the others, for `open_project`.

    The project may stand behind it, too: where only the second of two is one.
    """
    given = [*(arguments or ())]
    words = [each for each in given if "=" not in each or "://" in each]
    if not words or "" in words:  # "" is what a variable of the shell holds that was never set
        raise typer.BadParameter(f"give {what}", param_hint=f"'{what}'")
    if len(words) > 2:
        raise typer.BadParameter(
            f"{words[2]!r} is one too many; give the project and one {what}", param_hint=f"'{what}'"
        )
    project_first = len(words) == 2 and (_is_project(words[0]) or not _is_project(words[1])) and "://" not in words[0]
    found = words[-1] if project_first or len(words) == 1 else words[0]
    given.remove(found)
    return found, sorted(given, key=lambda each: each not in words)


def _is_project(name: str) -> bool:
    path = Path(name)
    return (path / "kdsl.yaml").is_file() or (path.is_file() and path.suffix in (".yaml", ".yml"))


def chosen_tasks(project: "Project", name: str | None) -> "list[Task]":
    """The task of that name, or all; KdslError where the project has none of that name."""
    from kdsl.errors import KdslError

    chosen = [task for task in project.tasks if name in (None, task.name)]
    if not chosen:
        names = ", ".join(task.name for task in project.tasks)
        raise KdslError(f"--task {name}: the project has no such task; it has {names}")
    return chosen


def print_json(value: Any) -> None:
    """Results as `--format json` prints them."""
    import json

    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def exit_on_failures(failed: Sequence[tuple[str, str]], of: int, what: str = "samples") -> None:
    """Where some of `of` samples have no answer, (id, reason) in `failed`: tell how many, and why, and exit with 1.

    `what` they are, where not samples.
    """
    if not failed:
        return
    first: dict[str, str] = {}
    for identity, reason in failed:
        first.setdefault(reason, identity)
    typer.echo(f"{len(failed)} of {of} {what} have no answer; the same command asks them again:", err=True)
    for reason, identity in list(first.items())[:3]:
        typer.echo(f"  {identity}: {reason}", err=True)
    raise typer.Exit(1)
