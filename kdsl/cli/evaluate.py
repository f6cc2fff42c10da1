"""kdsl evaluate: how good predictions are, as tables, plots and JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json
from kdsl.errors import KdslError

if TYPE_CHECKING:
    from kdsl.project.project import Project


def evaluate(
    arguments: ProjectArguments = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="FILE", help="Predictions, as kdsl predict writes them.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="The same samples with their labels, in any format.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--cross-validate",
            metavar="K",
            min=2,
            help="Predict the training samples instead, K-fold.",
            show_default=False,
        ),
    ] = None,
    seesaw: Annotated[
        bool,
        typer.Option("--seesaw", help="Compare LoRA adapters of single tasks with one for all, on every task."),
    ] = False,
    steps: Annotated[
        str | None,
        typer.Option(
            "--ablate",
            metavar="STEPS",
            help="Cross-validate with each of augment,ocr,meaning,visual,reasons,retrieval,distill,teaching,rules "
            "alone, with all, with none.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FOLDER",
            help="Where report, tables and plots go; else beside the predictions, or into the checkpoint.",
        ),
    ] = None,
    workers: WorkersOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Score predictions against labels: model alone, rules alone and both, with intervals, tables and plots."""
    job = _chosen_job(
        {
            "--seesaw": seesaw,
            "--ablate": steps is not None,
            "--cross-validate": folds is not None,
            "--predictions": predictions is not None,
            "--truth": truth is not None,
            "--workers": workers is not None,
        }
    )
    project = open_project(arguments)
    if job == "--seesaw":
        _compare_adapters(project, output, format)
    elif steps is not None:
        _ablate(project, steps, folds, workers, output, format)
    else:
        _score(project, folds, workers, predictions, truth, output, format)


_JOBS = {
    "--seesaw": (),
    "--ablate": ("--cross-validate", "--workers"),
    "--cross-validate": ("--workers",),
    "--predictions": ("--truth",),
}
"""The option that asks for a job → those that may stand beside it, but for --output and --format."""


def _chosen_job(given: Mapping[str, bool]) -> str:
    """The option that says what to evaluate, by whether each is given; KdslError unless all fit one job."""
    options = [option for option, is_given in given.items() if is_given]
    job = next((option for option in _JOBS if option in options), None)
    if job is None or (job == "--predictions" and "--truth" not in options):
        raise KdslError(
            "kdsl evaluate needs both files: --predictions FILE and --truth FILE, or one of --cross-validate K, "
            "--ablate STEPS and --seesaw, which predict samples themselves"
        )
    others = [option for option in options if option != job and option not in _JOBS[job]]
    if others:
        raise KdslError(f"{job} is an evaluation of its own; leave {' and '.join(others)} out")
    return job


def _score(
    project: "Project",
    folds: int | None,
    workers: int | None,
    predictions: Path | None,
    truth: Path | None,
    output: Path | None,
    format: Format,
) -> None:
    """Cross-validation, or a file of predictions and one of labels."""
    from kdsl.cli.scores_table import print_summary
    from kdsl.project.evaluation import CROSS_VALIDATION_FOLDER, evaluate_predictions, evaluate_project

    if folds is not None:
        folder = output or project.config.checkpoint / CROSS_VALIDATION_FOLDER
        summary = evaluate_project(project, folds, workers, folder)
    else:
        assert predictions is not None and truth is not None
        folder = output or predictions.with_name(f"{predictions.stem}-evaluation")
        summary = evaluate_predictions(project, predictions, truth, folder)
    if format is Format.json:
        print_json(summary.record())
    else:
        print_summary(summary)
    typer.echo(f"Report, tables and plots are in {folder}.", err=True)


def _compare_adapters(project: "Project", output: Path | None, format: Format) -> None:
    from kdsl.cli.evaluate_tables import print_seesaw
    from kdsl.project.evaluation import SEESAW_FOLDER, evaluate_adapters

    folder = output or project.config.checkpoint / SEESAW_FOLDER
    found = evaluate_adapters(project, folder)
    if format is Format.json:
        print_json(found.record())
    else:
        print_seesaw(found)
    typer.echo(f"Table and plot are in {folder}.", err=True)


def _ablate(
    project: "Project", steps: str, folds: int | None, workers: int | None, output: Path | None, format: Format
) -> None:
    from kdsl.cli.evaluate_tables import print_ablation
    from kdsl.project.ablation import ABLATION_FOLDS, parse_steps
    from kdsl.project.evaluation import ABLATION_FOLDER, evaluate_steps

    folder = output or project.config.checkpoint / ABLATION_FOLDER
    found = evaluate_steps(project, parse_steps(steps), folds or ABLATION_FOLDS, workers, folder)
    if format is Format.json:
        print_json(found.record())
    else:
        print_ablation(found)
    typer.echo(f"The table is in {folder}.", err=True)
