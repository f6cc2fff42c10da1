"""kdsl fetch: the images that samples name by their address."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json


def fetch(
    arguments: ProjectArguments = None,
    input: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="FILE", help="Samples whose images to fetch too.", show_default=False),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="A host that may be asked although it is private, such as localhost.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Fetch the images that samples name by address, once, into data.images; exit code 1 when some cannot be had."""
    from kdsl.project.fetching import fetch_project

    made = fetch_project(open_project(arguments), input or [], host or [])
    problems = made.outcome.problems
    if format is Format.json:
        print_json({"fetched": made.outcome.fetched, "fetched_before": made.before, "problems": problems})
    else:
        typer.echo(f"{made.folder}: {made.outcome.fetched} images fetched, {made.before} were there")
        for address, reason in problems.items():
            typer.echo(f"not fetched: {address} ({reason})")
    if problems:
        raise typer.Exit(1)
