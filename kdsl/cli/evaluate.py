"""kdsl evaluate: how good predictions are, as tables, plots and JSON."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.errors import KdslError

if TYPE_CHECKING:
    from kdsl.cli.project import Project
    from kdsl.evaluate.report import TaskResult


class Format(StrEnum):
    table = "table"
    json = "json"


def evaluate(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONFIG] [KEY=VALUE]...", help="Project file and changes to it.", show_default=False),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="FILE", help="Predictions, as kdsl predict writes them.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="The same samples with their labels, in any format.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FOLDER", help="Where report, tables and plots go; else beside the predictions."
        ),
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.table,
) -> None:
    """Score predictions against labels: model alone, rules alone and both, with intervals, tables and plots."""
    import json

    from kdsl.cli.project import open_project
    from kdsl.evaluate.folder import write_evaluation
    from kdsl.evaluate.report import print_summary, summarise

    if predictions is None or truth is None:
        raise KdslError("kdsl evaluate needs both files: --predictions FILE and --truth FILE")
    project = open_project(arguments or [])
    results = _compare(project, predictions, truth)
    folder = output or predictions.with_name(f"{predictions.stem}-evaluation")

    summary = summarise(results, project.config.seed)
    if format is Format.json:
        typer.echo(json.dumps(summary.record(), ensure_ascii=False, indent=2))
    else:
        print_summary(summary)
    write_evaluation(folder, results, summary)
    typer.echo(f"Report, tables and plots are in {folder}.", err=True)


def _compare(project: "Project", predictions: Path, truth: Path) -> "list[TaskResult]":
    from kdsl.data.readers import read_samples
    from kdsl.evaluate.predictions import read_results

    return read_results(predictions, truth, read_samples(truth, project.tasks), project.tasks)
