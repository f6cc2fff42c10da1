"""kdsl fetch: the images and sounds that samples name by their address."""

from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, open_project, print_json


def fetch(
    arguments: ProjectArguments = None,
    input: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="FILE", help="Samples whose files to fetch too.", show_default=False),
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
    """Fetch the images and sounds that samples name by address, once, into data.images and data.audio; exit code 1
    when some cannot be had."""
    from kdsl.project.fetching import fetch_project

    made = fetch_project(open_project(arguments), input or [], host or [])
    problems = {address: reason for each in made for address, reason in each.outcome.problems.items()}
    if format is Format.json:
        fetched, before = sum(each.outcome.fetched for each in made), sum(each.before for each in made)
        print_json({"fetched": fetched, "fetched_before": before, "problems": problems})
    else:
        for each in made:
            typer.echo(f"{each.folder}: {each.outcome.fetched} {each.medium.many} fetched, {each.before} were there")
        for address, reason in problems.items():
            typer.echo(f"not fetched: {address} ({reason})")
    if problems:
        raise typer.Exit(1)
