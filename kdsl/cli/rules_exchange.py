"""kdsl rules export and import: the rule base as a table, and the decisions that people wrote into it."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import ProjectArguments, open_project

if TYPE_CHECKING:
    from kdsl.review.store import RuleStore

_log = logging.getLogger(__name__)


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
        Path | None, typer.Option("--output", help="The file to write; stdout by default.", show_default=False)
    ] = None,
) -> None:
    """Write all rules in words, with their status, counts and notes, for people who will not open a browser."""
    from kdsl.files import write_atomically
    from kdsl.locks import claimed
    from kdsl.review.exchange import csv_table, markdown
    from kdsl.review.store import RuleStore

    project = open_project(arguments)
    store = RuleStore(project.config.rules, [task.name for task in project.tasks])
    _tell(store)
    text = (csv_table if format is TableFormat.csv else markdown)(store, language.value)
    if output is None:
        typer.echo(text, nl=False)
    else:
        with claimed(files=[output]):
            write_atomically(output, text)


def import_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV table that kdsl rules export wrote.")],
    arguments: ProjectArguments = None,
    by: AsOption = None,
) -> None:
    """Take over the statuses and notes that people changed in an exported CSV table: all of them, or none."""
    from kdsl.review.importing import import_csv
    from kdsl.review.reviewer import reviewer_name
    from kdsl.review.store import RuleStore

    project = open_project(arguments)
    store = RuleStore(project.config.rules, [task.name for task in project.tasks])
    event = import_csv(store, file, reviewer_name(by))
    count = 0 if event is None else len(event.changes)
    typer.echo(f"{count} rules changed; `kdsl review` can undo that as one step." if count else "No rule differs.")


def _tell(store: "RuleStore") -> None:
    for sentence in store.problems.values():
        _log.warning("left out: %s", sentence)
