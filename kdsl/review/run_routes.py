"""Routes of the page about evaluations that are kept: all of a task, and two of them side by side."""

from fastapi import APIRouter
from starlette.responses import Response

from kdsl.evaluate.comparison import KINDS, TaskComparison
from kdsl.evaluate.history import HistoryRow, history
from kdsl.evaluate.runs import Run, TaskScores, find_run, read_runs
from kdsl.evaluate.side_by_side import SideBySide, side_by_side
from kdsl.project.runs import runs_folder
from kdsl.review.charts import lines
from kdsl.review.page import Asked, Call, KnownTask, translate

CHANGES_SHOWN, LABELS_SHOWN = 30, 30
"""Samples of each kind, and labels."""

router = APIRouter(prefix="/t/{task}")


@router.get("/runs")
def runs(call: Asked, task: KnownTask) -> Response:
    kept, problems = read_runs(runs_folder(call.site.config))
    rows = [row for row in reversed(history(kept)) if _scores(row.run, task) is not None]
    new, old = _chosen(call, [row.run for row in reversed(rows)])
    asked = "new" in call.request.query_params
    found = side_by_side(new, old, call.site.config.seed) if asked and new and old else None
    return call.render(
        "runs.html", task=task, rows=[(row, _scores(row.run, task)) for row in rows], damaged=problems, new=new,
        old=old, found=found, compared=None if found is None else _of_task(found, task), kinds=KINDS,
        changes_shown=CHANGES_SHOWN, labels_shown=LABELS_SHOWN, known=call.site.indexes[task].sample,
        line=_line(call, task, rows),
    )  # fmt: skip


def _chosen(call: Call, kept: list[Run]) -> tuple[Run | None, Run | None]:
    """The two that the address names; by default the newest and the one before it of the same samples."""
    folder, values = runs_folder(call.site.config), call.request.query_params
    if not kept:
        return None, None
    new = find_run(kept, values["new"], folder) if "new" in values else kept[-1]
    if "old" in values:
        return new, find_run(kept, values["old"], folder)
    series = [run for run in kept if run.record.samples.series == new.record.samples.series]
    return new, series[max(series.index(new) - 1, 0)]


def _scores(run: Run, task: str) -> TaskScores | None:
    return next((scores for scores in run.record.scores if scores.task == task), None)


def _of_task(found: SideBySide, task: str) -> TaskComparison | None:
    """None where the two share no sample of the task."""
    return next((each for each in found.comparison.tasks if each.task == task), None)


def _line(call: Call, task: str, rows: list[HistoryRow]) -> str:
    """Weighted F1 over time, of the samples of the newest run; nothing for a single run."""
    series = [row.run for row in reversed(rows) if row.run.record.samples.series == rows[0].run.record.samples.series]
    scores = [each for run in series if (each := _scores(run, task)) is not None]
    values = [(kind, [getattr(each, name).weighted_f1.value for each in scores])
              for kind, name in (("model", "model"), ("accepted", "both"))]  # fmt: skip
    return lines(translate("Weighted F1 over time", call.visitor.language), values if rows else [])
