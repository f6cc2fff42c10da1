"""An evaluation as HTML for a notebook: scores, what the rules add, and every label."""

from html import escape

from kdsl.evaluate.report import PREDICTORS, Summary, TaskSummary
from kdsl.evaluate.selective import Selective
from kdsl.notebook import shown, table

_UNDEFINED = "–"


def summary_html(summary: Summary) -> str:
    """What a notebook shows of an evaluation."""
    note = (
        f'<p class="dim">In brackets: {summary.level:.0%} bootstrap intervals, {summary.resamples} resamples, seed '
        f"{summary.seed}.</p>\n"
    )
    less = (_selective(task.task, task.selective) for task in summary.tasks if task.selective is not None)
    return shown(
        *(_scores(task) for task in summary.sections), note, *less, *(_labels(task) for task in summary.tasks)
    )


def _scores(task: TaskSummary) -> str:
    columns = ("", ">weighted F1", ">macro F1", ">accuracy", ">covered", ">calibration error")
    rows = []
    for name, of in zip(PREDICTORS, (task.model, task.rules, task.both), strict=True):
        interval = of.intervals.weighted_f1
        rows.append(
            (
                f"<b>{name}</b>" if of is task.both else name,
                f"{of.scores.weighted_f1:.3f} [{interval.low:.3f}, {interval.high:.3f}]",
                *map(_number, (of.scores.macro_f1, of.scores.accuracy, of.scores.coverage)),
                _number(of.expected_calibration_error),
            )
        )
    added, interval = task.difference.weighted_f1, task.difference.intervals.weighted_f1
    rows.append(("both − model alone", f"{added:+z.3f} [{interval.low:+z.3f}, {interval.high:+z.3f}]", *[""] * 4))
    return table(columns, rows, f"{task.task}: {task.samples} samples")


def _selective(task: str, found: Selective) -> str:
    rows = [
        (title, *map(_number, (way.accuracy, way.weighted_f1, way.coverage, way.error, way.other_recall)))
        for title, way in found.ways.items()
    ]
    columns = ("", ">accuracy", ">weighted F1", ">decided", ">wrong of these", ">other told")
    return table(columns, rows, f"Deciding less: {task}, AUROC of other {_number(found.auroc)}")


def _labels(task: TaskSummary) -> str:
    rows = [
        (escape(row.label), str(row.both.support), *map(_number, (row.both.precision, row.both.recall, row.both.f1)))
        for row in task.labels
        if any(scores.support or scores.predicted for scores in (row.model, row.rules, row.both))
    ]
    return table(("label", ">samples", ">precision", ">recall", ">F1"), rows, f"Labels of {task.task}, by both")


def _number(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value:.3f}"
