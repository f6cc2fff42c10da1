"""How good a project is, measured in one of four ways, with the folder that each leaves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.evaluate.folder import write_evaluation
from kdsl.evaluate.predictions import read_results
from kdsl.evaluate.report import Summary, TaskResult, summarise
from kdsl.locks import claimed
from kdsl.project.cross_validation import cross_validate_project
from kdsl.project.project import Project

if TYPE_CHECKING:
    from kdsl.project.ablation import Ablation
    from kdsl.training.seesaw import Seesaw

CROSS_VALIDATION_FOLDER, ABLATION_FOLDER, SEESAW_FOLDER = "cross-validation", "ablation", "seesaw"
"""In the checkpoint, unless another folder is named."""


def evaluate_project(project: Project, folds: int, workers: int | None = None, folder: Path | None = None) -> Summary:
    """Cross-validate, and write report, tables and plots into `folder`.

    Errors are those of `cross_validate_project`, and KdslError for fewer than two folds.
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise KdslError(f"folds is {folds!r}; give a whole number, at least 2")
    folder = folder or project.config.checkpoint / CROSS_VALIDATION_FOLDER
    with claimed(folders=[project.config.checkpoint, folder]):
        return write_results(project, cross_validate_project(project, folds, workers), folder)


def evaluate_predictions(project: Project, predictions: Path, truth: Path, folder: Path) -> Summary:
    """Compare a file of predictions with a file of labels, and write report, tables and plots into `folder`.

    Raises KdslError for files that cannot be read, and for predictions that fit none of the samples.
    """
    with claimed(folders=[folder]):
        samples = read_samples(truth, project.tasks, reading=project.reading())
        return write_results(project, read_results(predictions, truth, samples, project.tasks), folder)


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


def write_results(project: Project, results: Sequence[TaskResult], folder: Path) -> Summary:
    """Write report, tables and plots of what was predicted into `folder`, which the caller has claimed."""
    summary = summarise(results, project.config.seed)
    write_evaluation(folder, results, summary)
    return summary
