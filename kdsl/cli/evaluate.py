"""kdsl evaluate: how good predictions are, as tables, plots and JSON."""

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
    from kdsl.data.readers import read_samples
    from kdsl.evaluate.predictions import read_results
    from kdsl.project.cross_validation import cross_validate_project

    _require_one_mode(predictions, truth, folds, seesaw, steps)
    project = open_project(arguments)
    if seesaw:
        _compare_adapters(project, output, format)
    elif steps is not None:
        _ablate(project, steps, folds, workers, output, format)
    elif folds is not None:
        folder = output or project.config.checkpoint / "cross-validation"
        with claimed(folders=[project.config.checkpoint, folder]):
            _tell(cross_validate_project(project, folds, workers), project, folder, format)
    elif predictions is not None and truth is not None:
        folder = output or predictions.with_name(f"{predictions.stem}-evaluation")
        with claimed(folders=[folder]):
            results = read_results(predictions, truth, read_samples(truth, project.tasks), project.tasks)
            _tell(results, project, folder, format)


def _require_one_mode(
    predictions: Path | None, truth: Path | None, folds: int | None, seesaw: bool, steps: str | None
) -> None:
    """Raise KdslError unless the options ask for one evaluation."""
    files = predictions is not None or truth is not None
    if seesaw and (files or folds is not None):
        raise KdslError("--seesaw predicts samples itself; leave --predictions, --truth and --cross-validate out")
    if seesaw and steps is not None:
        raise KdslError("--seesaw and --ablate are two evaluations; ask for one of them")
    if steps is not None and files:
        raise KdslError("--ablate predicts the training samples itself; leave --predictions and --truth out")
    if seesaw or steps is not None:
        return
    if folds is not None and files:
        raise KdslError("--cross-validate predicts the training samples itself; leave --predictions and --truth out")
    if folds is None and (predictions is None or truth is None):
        raise KdslError(
            "kdsl evaluate needs both files: --predictions FILE and --truth FILE, or --cross-validate K without either"
        )


def _tell(results: "list[TaskResult]", project: "Project", folder: Path, format: Format) -> None:
    from kdsl.evaluate.folder import write_evaluation
    from kdsl.evaluate.report import print_summary, summarise

    summary = summarise(results, project.config.seed)
    if format is Format.json:
        print_json(summary.record())
    else:
        print_summary(summary)
    write_evaluation(folder, results, summary)
    typer.echo(f"Report, tables and plots are in {folder}.", err=True)


def _compare_adapters(project: "Project", output: Path | None, format: Format) -> None:
    from kdsl.cli.evaluate_tables import print_seesaw
    from kdsl.project.seesaw import compare_adapters, seesaw_record, write_seesaw

    folder = output or project.config.checkpoint / "seesaw"
    with claimed(folders=[project.config.checkpoint, folder]):
        found = compare_adapters(project)
        if format is Format.json:
            print_json(seesaw_record(found))
        else:
            print_seesaw(found)
        write_seesaw(folder, found)
    typer.echo(f"Table and plot are in {folder}.", err=True)


def _ablate(
    project: "Project", steps: str, folds: int | None, workers: int | None, output: Path | None, format: Format
) -> None:
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
