"""kdsl rules export and import: the rule base as a table, and the decisions that people wrote into it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdsl.cli.options import ProjectArguments, not_stdout, open_project, project_and, taken_out


class TableFormat(StrEnum):
    csv = "csv"
    markdown = "markdown"


class Language(StrEnum):
    en = "en"
    zh = "zh"


AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Who decides; the user's name by default.", show_default=False),
]


def export_rules(
    arguments: ProjectArguments = None,
    format: Annotated[TableFormat, typer.Option("--format", help="csv can be imported again.")] = TableFormat.csv,
    language: Annotated[
        Language, typer.Option("--language", help="Of the words that rules are told in.")
    ] = Language.en,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", callback=not_stdout, help="The file to write; stdout by default.", show_default=False
        ),
    ] = None,
) -> None:
    """Write all rules in words, with their status, counts and notes, for people who will not open a browser."""
    from kdsl.files import write_atomically
    from kdsl.locks import claimed
    from kdsl.review import exchange

    text = exchange.export_rules(open_project(arguments), format.value, language.value)
    if output is None:
        typer.echo(text, nl=False)
    else:
        with claimed(files=[output]):
            write_atomically(output, text)


def import_rules(
    arguments: Annotated[list[str] | None, project_and("FILE", "a CSV table that kdsl rules export wrote.")] = None,
    by: AsOption = None,
) -> None:
    """Take over the statuses and notes that people changed in an exported CSV table: all of them, or none."""
    from kdsl.review import importing

    file, others = taken_out("FILE", arguments)
    count = importing.import_rules(open_project(others), Path(file), by)
    typer.echo(f"{count} rules changed; `kdsl review` can undo that as one step." if count else "No rule differs.")
