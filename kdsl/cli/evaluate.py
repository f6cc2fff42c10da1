"""kdsl evaluate: how good predictions are, as tables, plots and JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, WorkersOption, open_project, print_json
from kdsl.errors import KdslError

if TYPE_CHECKING:
    from kdsl.evaluate.side_by_side import SideBySide
    from kdsl.project.project import Project


def evaluate(
    arguments: ProjectArguments = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test", metavar="FILE", help="Predict labelled samples of any file, as kdsl train left the model."
        ),
    ] = None,
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
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="RUN",
            help="Compare with an evaluation that is kept: an id, `last`, a folder, or a file of predictions. Given "
            "alone, the newest evaluation of the same samples is compared.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Compare this one, with --against.", show_default=False),
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
            "--test": test is not None,
            "--seesaw": seesaw,
            "--ablate": steps is not None,
            "--cross-validate": folds is not None,
            "--predictions": predictions is not None,
            "--truth": truth is not None,
            "--run": run is not None,
            "--against": against is not None,
            "--workers": workers is not None,
        }
    )
    project = open_project(arguments)
    if job == "--seesaw":
        _compare_adapters(project, output, format)
    elif steps is not None:
        _ablate(project, steps, folds, workers, output, format)
    elif job in ("--run", "--against"):
        assert against is not None
        _compare_kept(project, against, run, output, format)
    else:
        _score(project, test, folds, workers, predictions, truth, against, output, format)


_JOBS = {
    "--seesaw": (),
    "--ablate": ("--cross-validate", "--workers"),
    "--cross-validate": ("--workers", "--against"),
    "--test": ("--against",),
    "--predictions": ("--truth", "--against"),
    "--run": ("--against",),
    "--against": (),
}
"""The option that asks for a job → those that may stand beside it, but for --output and --format."""


def _chosen_job(given: Mapping[str, bool]) -> str:
    """The option that says what to evaluate, by whether each is given; KdslError unless all fit one job."""
    options = [option for option, is_given in given.items() if is_given]
    job = next((option for option in _JOBS if option in options), None)
    if job is None or (job == "--predictions" and "--truth" not in options):
        raise KdslError(
            "kdsl evaluate needs both files: --predictions FILE and --truth FILE, or one of --test FILE, "
            "--cross-validate K, --ablate STEPS and --seesaw, which predict samples themselves, or --against RUN, "
            "which compares two evaluations that are kept"
        )
    others = [option for option in options if option != job and option not in _JOBS[job]]
    if others:
        raise KdslError(f"{job} is an evaluation of its own; leave {' and '.join(others)} out")
    if job == "--run" and "--against" not in options:
        raise KdslError("--run RUN names one of two runs; name the other one with --against RUN")
    return job


def _score(
    project: "Project",
    test: Path | None,
    folds: int | None,
    workers: int | None,
    predictions: Path | None,
    truth: Path | None,
    against: str | None,
    output: Path | None,
    format: Format,
) -> None:
    """Cross-validation, a file of labelled samples, or one of predictions and one of labels."""
    from kdsl.cli.scores_table import print_scores, print_summary
    from kdsl.evaluate.side_by_side import side_by_side
    from kdsl.project.evaluation import CROSS_VALIDATION_FOLDER, evaluate_file, evaluate_predictions, evaluate_project
    from kdsl.project.inputs import test_folder
    from kdsl.project.runs import run_to_compare, sample_set

    measured_on = project.train_file if folds is not None else test or truth
    old = None
    if against is not None and measured_on is not None:  # an unknown run is told before minutes of work
        old = run_to_compare(project, against, sample_set(project, measured_on, folds))
    if folds is not None:
        folder = output or project.config.checkpoint / CROSS_VALIDATION_FOLDER
        evaluation = evaluate_project(project, folds, workers, folder)
    elif test is not None:
        folder = output or test_folder(project, test)
        evaluation = evaluate_file(project, test, folder)
    else:
        assert predictions is not None and truth is not None
        folder = output or predictions.with_name(f"{predictions.stem}-evaluation")
        evaluation = evaluate_predictions(project, predictions, truth, folder)
    if old is not None:
        if format is Format.table:
            print_scores(evaluation.summary)
        _tell_comparison(side_by_side(evaluation.run, old, project.config.seed), folder, format)
    elif format is Format.json:
        print_json(evaluation.summary.record())
    else:
        print_summary(evaluation.summary)
    typer.echo(f"Report, tables and plots are in {folder}.", err=True)


def _compare_kept(project: "Project", against: str, run: str | None, output: Path | None, format: Format) -> None:
    from kdsl.evaluate.side_by_side import side_by_side
    from kdsl.project.inputs import comparison_folder
    from kdsl.project.runs import runs_to_compare

    new, old = runs_to_compare(project, against, run)
    _tell_comparison(side_by_side(new, old, project.config.seed), output or comparison_folder(project), format)


def _tell_comparison(found: "SideBySide", folder: Path, format: Format) -> None:
    from kdsl.cli.comparison_table import print_comparison
    from kdsl.evaluate.comparison_page import write_comparison

    page = write_comparison(folder, found)
    if format is Format.json:
        print_json(found.record())
    else:
        print_comparison(found)
    typer.echo(f"All that changed is in {page}.", err=True)


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
