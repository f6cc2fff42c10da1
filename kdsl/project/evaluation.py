"""Cross-validating a project, with the folder that it leaves."""

from pathlib import Path

from kdsl.errors import KdslError
from kdsl.evaluate.folder import write_evaluation
from kdsl.evaluate.report import Summary, summarise
from kdsl.locks import claimed
from kdsl.project.cross_validation import cross_validate_project
from kdsl.project.project import Project

CROSS_VALIDATION_FOLDER = "cross-validation"
"""In the checkpoint."""


def evaluate_project(project: Project, folds: int, workers: int | None = None, folder: Path | None = None) -> Summary:
    """Cross-validate, and write report, tables and plots into `folder`, by default one in the checkpoint.

    Errors are those of `cross_validate_project`, and KdslError for fewer than two folds.
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise KdslError(f"folds is {folds!r}; give a whole number, at least 2")
    folder = folder or project.config.checkpoint / CROSS_VALIDATION_FOLDER
    with claimed(folders=[project.config.checkpoint, folder]):
        results = cross_validate_project(project, folds, workers)
        summary = summarise(results, project.config.seed)
        write_evaluation(folder, results, summary)
    return summary
