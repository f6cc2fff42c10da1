"""Routes of the page about progress: what was decided, and how good the rules are by now."""

import threading
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.responses import Response

from kdsl.bitmaps import Bitmap, count, pack
from kdsl.errors import KdslError
from kdsl.files import stamp_of
from kdsl.review.charts import intervals, lines, shares, stacked_bars
from kdsl.review.effect import trained_files
from kdsl.review.journal import Event
from kdsl.review.page import Asked, Call, KnownTask, translate
from kdsl.review.quality import Measured, measure, measurements
from kdsl.review.task_index import TaskIndex
from kdsl.rules.statistics import wilson_interval
from kdsl.rules.wording import Language, counted

DAYS_SHOWN = 14
STATUS_ORDER = ("accepted", "proposed", "rejected", "disabled")

Interval = tuple[str, float | None, float, float, str]
"""A label, a share or None, its 95 % interval, and the share in words."""

router = APIRouter(prefix="/t/{task}")


@router.get("/progress")
def progress(call: Asked, task: KnownTask) -> Response:
    overview, language = call.site.overview(task), call.visitor.language
    status = np.array([stored.rule.status for stored in overview.rules], dtype=object)
    days = _decisions_by_day(call, task)
    measured, problem = _measured(call.site.config.checkpoint, task)
    f1 = [(kind, [getattr(each, kind) for each in measured]) for kind in ("model", "accepted", "active")]
    return call.render(
        "progress.html", task=task, totals=Counter(status.tolist()), rules=len(overview.rules),
        bars=stacked_bars(translate("Progress by label", language), _by_status(call, task, status)),
        covered=intervals(translate("Coverage by label", language), _coverage(call, task)),
        precise=intervals(translate("Precision by label", language), _precision(call, task)),
        waiting=_waiting(call, task),
        days=stacked_bars(translate("Decisions by day", language), days) if days else "",
        measured=measured[-1] if measured else None, running=call.measuring.get(task) == "",
        problem=call.measuring.get(task) or problem,
        f1=shares(translate("Cross-validated F1", language), _figures(measured[-1], language)) if measured else "",
        line=lines(translate("Cross-validated F1", language), f1),
    )  # fmt: skip


def _waiting(call: Call, task: str) -> int | None:
    """How many rules were decided about, or changed, since the last `kdsl train`; None before there was one."""
    arbiter, _ = trained_files(call.site.config.checkpoint, task)
    stamp = stamp_of(arbiter)
    if stamp is None:
        return None
    trained = datetime.fromtimestamp(stamp[0] / 1e9).isoformat(timespec="microseconds")
    return len({event.rule for event in _deciding(call, task) if event.at > trained})


@router.post("/measure")
def start(call: Asked, task: KnownTask) -> Response:
    if call.measuring.get(task) != "":
        call.measuring[task] = ""
        threading.Thread(target=_measure, args=(call, task), name="kdsl-measure", daemon=True).start()
    return progress(call, task)


def _measure(call: Call, task: str) -> None:
    problem: str | None = "measuring failed; the terminal says why"
    try:
        measure(call.site, task)
        problem = None
    except KdslError as error:
        problem = error.in_commands()
    finally:
        if problem is None:
            del call.measuring[task]
        else:
            call.measuring[task] = problem


def _by_status(call: Call, task: str, status: NDArray[np.object_]) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """For each label how many of its rules have which status; `status` [n_rules] of all rules."""
    overview, index, language = call.site.overview(task), call.site.indexes[task], call.visitor.language
    bars = []
    for label, name in enumerate(index.task.label_names):
        counts = [(kind, int(((overview.labels == label) & (status == kind)).sum())) for kind in STATUS_ORDER]
        bars.append((name, [(kind, translate(kind, language), count) for kind, count in counts]))
    return bars


def _coverage(call: Call, task: str) -> list[Interval]:
    """For each label the share of its samples that its rules hit."""
    overview, index = call.site.overview(task), call.site.indexes[task]
    return [
        (name, *_share(index, overview.bits[(overview.labels == label) & overview.active], label))
        for label, name in enumerate(index.task.label_names)
    ]


def _precision(call: Call, task: str) -> list[Interval]:
    """For each label the share of right ones among the hits of its rules."""
    overview, index = call.site.overview(task), call.site.indexes[task]
    precise = []
    for label, name in enumerate(index.task.label_names):
        live = (overview.labels == label) & overview.active
        right, hits = int(overview.correct[live].sum()), int(overview.hits[live].sum())
        precise.append((name, right / hits if hits else None, *wilson_interval(right, hits), counted(right, hits)))
    return precise


def _decisions_by_day(call: Call, task: str) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """How many decisions, of those that were not taken back, fell on each of the last days that had some."""
    days = Counter(event.at[:10] for event in _deciding(call, task))
    words = translate("decided", call.visitor.language)
    return [(day, [("day", words, count)]) for day, count in sorted(days.items())[-DAYS_SHOWN:]]


def _deciding(call: Call, task: str) -> list[Event]:
    """What was decided about rules of the task and was not taken back."""
    events = call.site.store.history()
    undone = {(event.by, event.undoes) for event in events if event.action == "undo"}
    return [
        event
        for event in events
        if event.task == task
        and event.action not in ("undo", "skip", "note", "pin")
        and (event.by, event.number) not in undone
    ]


def _measured(checkpoint: Path, task: str) -> tuple[list[Measured], str]:
    """What was measured so far, or why that cannot be read."""
    try:
        return measurements(checkpoint, task), ""
    except KdslError as error:
        return [], error.in_commands()


def _figures(measured: Measured, language: Language) -> list[tuple[str, str, float]]:
    return [
        (translate("model alone", language), "model", measured.model),
        (translate("with accepted rules", language), "accepted", measured.accepted),
        (translate("with all active rules", language), "active", measured.active),
    ]


def _share(index: TaskIndex, bits: Bitmap, label: int) -> tuple[float | None, float, float, str]:
    """Recall of rules of one label on its samples, with the interval."""
    positives = index.having(label)
    union = np.bitwise_or.reduce(bits, axis=0, initial=0)
    total = int(positives.sum())
    found = int(count(union & pack(positives))) if total else 0
    low, high = wilson_interval(found, total)
    return (found / total if total else None), low, high, counted(found, total)
