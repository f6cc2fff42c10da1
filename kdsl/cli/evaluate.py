"""kdsl evaluate: how good predictions are, as tables, plots and JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption
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
    import json

    from kdsl.evaluate.folder import write_evaluation
    from kdsl.evaluate.report import print_summary, summarise
    from kdsl.project.project import open_project

    if seesaw:
        if not (folds is None and predictions is None and truth is None):
            raise KdslError("--seesaw predicts samples itself; leave --predictions, --truth and --cross-validate out")
        if steps is not None:
            raise KdslError("--seesaw and --ablate are two evaluations; ask for one of them")
        _seesaw(open_project(arguments), output, format)
        return
    if steps is not None:
        if predictions is not None or truth is not None:
            raise KdslError("--ablate predicts the training samples itself; leave --predictions and --truth out")
        _ablate(open_project(arguments), steps, folds, workers, output, format)
        return
    if folds is None and (predictions is None or truth is None):
        raise KdslError(
            "kdsl evaluate needs both files: --predictions FILE and --truth FILE, or --cross-validate K without either"
        )
    if folds is not None and (predictions is not None or truth is not None):
        raise KdslError("--cross-validate predicts the training samples itself; leave --predictions and --truth out")
    project = open_project(arguments)
    checkpoint = None
    if predictions is not None:
        folder = output or predictions.with_name(f"{predictions.stem}-evaluation")
    else:
        checkpoint = project.config.checkpoint
        folder = output or checkpoint / "cross-validation"
    with claimed(folders=[checkpoint, folder]):
        if predictions is not None and truth is not None:
            results = _compare(project, predictions, truth)
        else:
            results = _cross_validate(project, folds or 0, workers)
        summary = summarise(results, project.config.seed)
        if format is Format.json:
            typer.echo(json.dumps(summary.record(), ensure_ascii=False, indent=2))
        else:
            print_summary(summary)
        write_evaluation(folder, results, summary)
    typer.echo(f"Report, tables and plots are in {folder}.", err=True)


def _seesaw(project: "Project", output: Path | None, format: Format) -> None:
    import json

    from kdsl.cli.seesaw import compare_adapters, print_seesaw, seesaw_record, write_seesaw

    folder = output or project.config.checkpoint / "seesaw"
    with claimed(folders=[project.config.checkpoint, folder]):
        found = compare_adapters(project)
        if format is Format.json:
            typer.echo(json.dumps(seesaw_record(found), ensure_ascii=False, indent=2))
        else:
            print_seesaw(found)
        write_seesaw(folder, found)
    typer.echo(f"Table and plot are in {folder}.", err=True)


def _ablate(
    project: "Project", steps: str, folds: int | None, workers: int | None, output: Path | None, format: Format
) -> None:
    import json

    from kdsl.cli.ablating import ABLATION_FOLDS, ablate_project, parse_steps, print_ablation, write_ablation

    folder = output or project.config.checkpoint / "ablation"
    with claimed(folders=[project.config.checkpoint, folder]):
        found = ablate_project(project, parse_steps(steps), folds or ABLATION_FOLDS, workers)
        if format is Format.json:
            typer.echo(json.dumps(found.record(), ensure_ascii=False, indent=2))
        else:
            print_ablation(found)
        write_ablation(folder, found)
    typer.echo(f"The table is in {folder}.", err=True)


def _cross_validate(project: "Project", folds: int, workers: int | None) -> "list[TaskResult]":
    from kdsl.project.cross_validation import cross_validate_project

    return cross_validate_project(project, folds, workers)


def _compare(project: "Project", predictions: Path, truth: Path) -> "list[TaskResult]":
    from kdsl.data.readers import read_samples
    from kdsl.evaluate.predictions import read_results

    return read_results(predictions, truth, read_samples(truth, project.tasks), project.tasks)
