"""kdsl evaluate: how good predictions are, as tables, plots and JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json
from kdsl.errors import KdslError
from kdsl.locks import claimed

if TYPE_CHECKING:
    from kdsl.evaluate.report import TaskResult
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
            help="Cross-validate with each of augment,ocr,reasons,retrieval,distill,rules alone, with all, with none.",
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
        compare_adapters(project, output, format)
    elif steps is not None:
        ablate(project, steps, folds, workers, output, format)
    elif folds is not None:
        cross_validate(project, folds, workers, output, format)
    elif predictions is not None and truth is not None:
        score_files(project, predictions, truth, output, format)


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


def score_files(project: "Project", predictions: Path, truth: Path, output: Path | None, format: Format) -> None:
    """Compare a file of predictions with a file of labels."""
    from kdsl.data.readers import read_samples
    from kdsl.evaluate.predictions import read_results

    folder = output or predictions.with_name(f"{predictions.stem}-evaluation")
    with claimed(folders=[folder]):
        _tell(
            read_results(predictions, truth, read_samples(truth, project.tasks), project.tasks),
            project,
            folder,
            format,
        )


def cross_validate(project: "Project", folds: int, workers: int | None, output: Path | None, format: Format) -> None:
    """Predict the training samples, K-fold."""
    from kdsl.project.cross_validation import cross_validate_project

    folder = output or project.config.checkpoint / "cross-validation"
    with claimed(folders=[project.config.checkpoint, folder]):
        _tell(cross_validate_project(project, folds, workers), project, folder, format)


def _tell(results: "list[TaskResult]", project: "Project", folder: Path, format: Format) -> None:
    from kdsl.cli.scores_table import print_summary
    from kdsl.evaluate.folder import write_evaluation
    from kdsl.evaluate.report import summarise

    summary = summarise(results, project.config.seed)
    if format is Format.json:
        print_json(summary.record())
    else:
        print_summary(summary)
    write_evaluation(folder, results, summary)
    typer.echo(f"Report, tables and plots are in {folder}.", err=True)


def compare_adapters(project: "Project", output: Path | None, format: Format) -> None:
    """Train LoRA adapters of single tasks and one for all, and predict the test samples of every task with each."""
    from kdsl.cli.evaluate_tables import print_seesaw
    from kdsl.project.seesaw import compare_adapters as compare
    from kdsl.project.seesaw import seesaw_record, write_seesaw

    folder = output or project.config.checkpoint / "seesaw"
    with claimed(folders=[project.config.checkpoint, folder]):
        found = compare(project)
        if format is Format.json:
            print_json(seesaw_record(found))
        else:
            print_seesaw(found)
        write_seesaw(folder, found)
    typer.echo(f"Table and plot are in {folder}.", err=True)


def ablate(
    project: "Project", steps: str, folds: int | None, workers: int | None, output: Path | None, format: Format
) -> None:
    """Cross-validate with each of several steps alone, with all of them and with none."""
    from kdsl.cli.evaluate_tables import print_ablation
    from kdsl.project.ablation import ABLATION_FOLDS, ablate_project, parse_steps, write_ablation

    folder = output or project.config.checkpoint / "ablation"
    with claimed(folders=[project.config.checkpoint, folder]):
        found = ablate_project(project, parse_steps(steps), folds or ABLATION_FOLDS, workers)
        if format is Format.json:
            print_json(found.record())
        else:
            print_ablation(found)
        write_ablation(folder, found)
    typer.echo(f"The table is in {folder}.", err=True)
