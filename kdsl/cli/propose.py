"""kdsl propose: rules that a chat model drafts."""

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
    from kdsl.project.proposing import ProposedTask


def propose(
    arguments: ProjectArguments = None,
    model: AskedModel = None,
    calls: Annotated[
        int | None,
        typer.Option("--calls", min=0, help="Labels that are asked about now; all by default.", show_default=False),
    ] = None,
    timeout: Timeout = 120,
    retries: Retries = 6,
    format: FormatOption = Format.table,
) -> None:
    """Let a chat model draft rules, and propose those that the samples speak for; run again to go on."""
    from kdsl.project.proposing import propose_project

    project = open_project(arguments)
    found = propose_project(project, model, calls, timeout, retries)
    if format is Format.json:
        print_json({task: result.record() for task, result in found.items()})
    else:
        _print(project, found)
    failed = [each for result in found.values() for each in result.failed.items()]
    exit_on_failures(failed, sum(result.asked + result.known for result in found.values()), "labels")


def _print(project: "Project", found: "dict[str, ProposedTask]") -> None:
    from kdsl.cli.console import results_console, results_table
    from kdsl.project.proposing import DRAFT_ANSWERS_FILE

    table = results_table("Drafts", "", *(f">{task}" for task in found))
    results = list(found.values())
    counts = [
        ("labels asked now", [each.asked for each in results]),
        ("labels known before", [each.known for each in results]),
        ("labels left", [each.left for each in results]),
        ("labels without an answer", [len(each.failed) for each in results]),
        ("drafts", [each.drafts for each in results]),
    ]
    reasons = sorted({reason for each in results for reason in each.dropped})
    counts += [(f"dropped: {reason}", [each.dropped[reason] for each in results]) for reason in reasons]
    counts += [
        ("rules added", [len(each.added) for each in results]),
        ("of these refined", [each.refined for each in results]),
    ]
    for name, numbers in counts:
        table.add_row(name, *map(str, numbers))
    results_console().print(table)
    typer.echo(
        f"The rules are in {project.config.rules}, to be reviewed; what the model answered is in "
        f"{project.config.checkpoint / DRAFT_ANSWERS_FILE}.",
        err=True,
    )
