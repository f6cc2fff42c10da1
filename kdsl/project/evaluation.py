"""How good a project is, measured in one of five ways, with the folder that each leaves."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.data.readers import read_samples
from kdsl.data.sample_file import SampleFile
from kdsl.errors import KdslError
from kdsl.evaluate.folder import write_evaluation
from kdsl.evaluate.predictions import decision_results, labelled_samples, read_results
from kdsl.evaluate.report import AnyResult, Summary, summarise
from kdsl.evaluate.runs import Run, SampleSet
from kdsl.locks import claimed
from kdsl.project.counting import counted_models
from kdsl.project.cross_validation import cross_validate_project
from kdsl.project.prediction import decide_files
from kdsl.project.project import Project
from kdsl.project.runs import keep_run, sample_set
from kdsl.vlm.usage import Limits

if TYPE_CHECKING:
    from kdsl.project.ablation import Ablation
    from kdsl.training.seesaw import Seesaw

_log = logging.getLogger(__name__)

CROSS_VALIDATION_FOLDER, ABLATION_FOLDER, SEESAW_FOLDER = "cross-validation", "ablation", "seesaw"
"""In the checkpoint, unless another folder is named."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and the run that keeps it."""

    summary: Summary
    run: Run


def evaluate_project(
    project: Project, folds: int, workers: int | None = None, folder: Path | None = None
) -> Evaluation:
    """Cross-validate, and write report, tables and plots into `folder`.

    Errors are those of `cross_validate_project`, and KdslError for fewer than two folds.
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise KdslError(f"folds is {folds!r}; give a whole number, at least 2")
    folder = folder or project.config.checkpoint / CROSS_VALIDATION_FOLDER
    with claimed(folders=[project.config.checkpoint, folder]):
        results = cross_validate_project(project, folds, workers)
        return write_results(project, sample_set(project, project.train_file, folds), results, folder)


def evaluate_file(project: Project, test: Path, folder: Path) -> Evaluation:
    """Predict the labelled samples of any file, and write report, tables and plots into `folder`.

    A warning tells of samples that the project was trained on. Raises KdslError for a file that holds something else,
    and where nothing was trained.
    """
    train = project.config.data.train
    if train is not None and train.resolve() == test.resolve():
        _log.warning(
            "%s: holds the samples that the project was trained on, so that the scores are too good; --cross-validate "
            "predicts each without it",
            test,
        )
    with claimed(folders=[folder]):
        samples = list(project.iterate_samples(test))
        labelled_samples(test, samples, project.tasks)  # refused before anything is predicted
        decisions = list(decide_files(project, [SampleFile(test)]))
        results = decision_results(samples, decisions, project.tasks)
        return write_results(project, sample_set(project, test), results, folder)


def evaluate_predictions(project: Project, predictions: Path, truth: Path, folder: Path) -> Evaluation:
    """Compare a file of predictions with a file of labels, and write report, tables and plots into `folder`.

    Raises KdslError for files that cannot be read, and for predictions that fit none of the samples.
    """
    with claimed(folders=[folder]):
        samples = read_samples(truth, project.tasks, reading=project.reading())
        results = read_results(predictions, truth, samples, project.tasks)
        return write_results(project, sample_set(project, truth), results, folder, predictions)


def evaluate_steps(
    project: Project, steps: Sequence[str], folds: int, workers: int | None = None, folder: Path | None = None
) -> "Ablation":
    """Cross-validate with each of several steps alone, with all of them and with none; the table goes into `folder`.

    Errors are those of `kdsl.project.ablation.ablate_project`.
    """
    from kdsl.project.ablation import ablate_project, write_ablation

    folder = folder or project.config.checkpoint / ABLATION_FOLDER
    with claimed(folders=[project.config.checkpoint, folder]):
        found = ablate_project(project, steps, folds, workers)
        write_ablation(folder, found)
    return found


def evaluate_adapters(project: Project, folder: Path | None = None) -> "Seesaw":
    """Compare LoRA adapters of single tasks with one for all, on every task; table and plot go into `folder`.

    Errors are those of `kdsl.project.seesaw.compare_adapters`.
    """
    from kdsl.project.seesaw import compare_adapters, write_seesaw

    folder = folder or project.config.checkpoint / SEESAW_FOLDER
    with claimed(folders=[project.config.checkpoint, folder]):
        found = compare_adapters(project)
        write_seesaw(folder, found)
    return found


def write_results(
    project: Project,
    samples: SampleSet,
    results: Sequence[AnyResult],
    folder: Path,
    predictions: Path | None = None,
) -> Evaluation:
    """Write report, tables and plots of what was predicted into `folder`, which the caller has claimed, and keep it.

    `predictions` is the file that was scored, where one was.
    """
    asked = any(cost is not None for result in results for cost in result.costs)
    limits = project.config.limits if asked else None
    summary = summarise(
        results,
        project.config.seed,
        None if limits is None else Limits(limits.calls, limits.tokens),
        counted_models(project, asking=predictions is None) if asked else None,
    )
    write_evaluation(folder, results, summary)
    return Evaluation(summary, keep_run(project, samples, results, summary, predictions))
