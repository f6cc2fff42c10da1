"""kdsl reasons: why training samples have their labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import (
    AskedModel,
    Format,
    FormatOption,
    ProjectArguments,
    Retries,
    Timeout,
    exit_on_failures,
    open_project,
    print_json,
)

if TYPE_CHECKING:
    from kdsl.project.project import Project
    from kdsl.reasons.asking import ReasonCounts
    from kdsl.reasons.importing import ImportOutcome


def reasons(
    arguments: ProjectArguments = None,
    model: AskedModel = None,
    bring: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take over reasons made elsewhere, and ask nothing."),
    ] = None,
    timeout: Timeout = 120,
    retries: Retries = 6,
    format: FormatOption = Format.table,
) -> None:
    """Ask a model why training samples have their labels; the same command goes on after an interruption."""
    from kdsl.errors import KdslError
    from kdsl.project.reasons import explain_project, import_project

    project = open_project(arguments)
    if bring is not None and model is not None:
        raise KdslError("--import asks no model, so --model does not go with it; leave one of the two out")
    if bring is not None:
        outcome = import_project(project, bring)
        if format is Format.json:
            print_json(outcome.record())
        else:
            _print_import(project, bring, outcome)
        if outcome.problems:
            raise typer.Exit(1)
        return
    counts = explain_project(project, model, timeout, retries)
    if format is Format.json:
        print_json({task: found.record() for task, found in counts.items()})
    else:
        _print(project, counts)
    failed = [each for found in counts.values() for each in found.failed.items()]
    exit_on_failures(failed, sum(found.samples for found in counts.values()))


def _print(project: "Project", counts: "dict[str, ReasonCounts]") -> None:
    from kdsl.cli.console import results_console, results_table
    from kdsl.reasons.decided import DECIDED_FILE

    table = results_table("Reasons", "samples", *(f">{task}" for task in counts))
    rows = [found.record() | {"failed": len(found.failed)} for found in counts.values()]
    for name in rows[0]:
        table.add_row("all" if name == "samples" else name.replace("_", " "), *(str(row[name]) for row in rows))
    results_console().print(table)
    typer.echo(
        f"The reasons are in {project.config.data.reasons}; those left out, and why, in "
        f"{project.config.checkpoint / DECIDED_FILE}.",
        err=True,
    )


def _print_import(project: "Project", file: Path, outcome: "ImportOutcome") -> None:
    found = outcome.record()
    typer.echo(
        f"{project.config.data.reasons}: {found['added']} of {found['lines']} reasons added, {found['there_before']} "
        f"were there, {found['thinned']} too like another one of their label, {found['problems']} left out for what "
        "is wrong with them"
    )
    for line in outcome.problems:
        typer.echo(f"{file}, line {line.line}: {line.id}: {line.why}: {line.detail}")
