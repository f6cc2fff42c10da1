"""Routes of the pages about all rules: gaps, samples, progress."""

import threading
from collections import Counter
from pathlib import Path

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from kdsl.errors import KdslError
from kdsl.review.charts import intervals, lines, shares, stacked_bars
from kdsl.review.form import whole_number
from kdsl.review.gaps import KINDS, find_gaps, rows_of
from kdsl.review.page import Asked, Pages
from kdsl.review.quality import Measured, measure, measurements
from kdsl.review.rule_page import model_label, shown_samples
from kdsl.review.sample_view import show_sample
from kdsl.review.task_index import Bits, TaskIndex, pack, popcount
from kdsl.review.wording import Language, counted
from kdsl.review.words import translate
from kdsl.rules.engine import Engine
from kdsl.rules.statistics import wilson_interval

PAGE = 20
STATUS_ORDER = ("accepted", "proposed", "rejected", "disabled")


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(prefix="/t/{task}")
    measuring: dict[str, str] = {}
    """Task → empty while it is measured, else why it could not be."""

    @router.get("/gaps")
    def gaps(call: Asked, task: str) -> Response:
        index, overview = call.site.indexes[call.known(task)], call.site.overview(task)
        found = find_gaps(index, overview)
        predictions = index.predictions
        against = 0
        if predictions is not None:
            against = int(((found.said >= 0) & (predictions.said >= 0) & (found.said != predictions.said)).sum())
        return pages.render(
            call, "gaps.html", task=task, gaps=found, labels=index.task.label_names, samples=len(index.samples),
            uncovered=int((found.said < 0).sum()), contradicting=int(found.contradiction.sum()),
            against=None if predictions is None else against, most=max(int(found.table.max(initial=0)), 1),
        )  # fmt: skip

    @router.get("/samples")
    def samples(call: Asked, task: str) -> Response:
        index = call.site.indexes[call.known(task)]
        values = call.request.query_params
        kind = values.get("kind", "cell")
        if kind not in KINDS:
            raise KdslError(f"{kind[:60]!r} is none of {', '.join(KINDS)}")
        gaps = find_gaps(index, call.site.overview(task))
        truth, said = _label(values.get("truth")), _label(values.get("said"))
        rows = rows_of(index, gaps, kind, truth, said)
        first = whole_number(values.get("from", "")) or 0
        shown = rows[first : first + PAGE].tolist()
        language = call.visitor.language
        return pages.render(
            call, "samples.html", task=task, kind=kind, truth=truth, said=said, total=len(rows), first=first,
            page=PAGE, labels=index.task.label_names,
            shown=[
                (sample, model_label(call.site, task, sample.position), int(gaps.said[sample.position]))
                for sample in shown_samples(call.site, task, shown, language)
            ],
        )  # fmt: skip

    @router.get("/sample")
    def sample(call: Asked, task: str, id: str = "") -> Response:
        index, overview = call.site.indexes[call.known(task)], call.site.overview(task)
        position = index.sample_position.get(id)
        if position is None:
            raise KdslError(f"{task} has no sample {id[:60]!r}; it may have been taken out of the data since")
        bits = overview.bits[:, position >> 6] >> np.uint64(position & 63) & np.uint64(1)
        hitting = [overview.rules[int(i)] for i in np.flatnonzero(bits & overview.active)]
        [hits] = Engine([stored.rule for stored in hitting]).hits(index.table.select([position]))
        evidence = [each for hit in hits for each in hit.evidence if each.span is not None]
        language = call.visitor.language
        shown = show_sample(
            position, index.samples[position], call.site.sidecars, call.site.image_address, evidence, language
        )  # fmt: skip
        return pages.render(
            call, "sample.html", task=task, sample=shown, hitting=hitting, word=model_label(call.site, task, position)
        )

    @router.get("/progress")
    def progress(call: Asked, task: str) -> Response:
        index, overview = call.site.indexes[call.known(task)], call.site.overview(task)
        names, language = index.task.label_names, call.visitor.language
        status = np.array([stored.rule.status for stored in overview.rules], dtype=object)
        bars, covered, precise = [], [], []
        for label, name in enumerate(names):
            own = overview.labels == label
            counts = [int((own & (status == kind)).sum()) for kind in STATUS_ORDER]
            bars.append(
                (name, [(kind, translate(kind, language), n) for kind, n in zip(STATUS_ORDER, counts, strict=True)])
            )
            covered.append((name, *_share(index, overview.bits[own & overview.active], label)))
            live = own & overview.active
            right, hits = int(overview.correct[live].sum()), int(overview.hits[live].sum())
            low, high = wilson_interval(right, hits)
            precise.append((name, right / hits if hits else None, low, high, counted(right, hits)))
        events = call.site.store.history()
        undone = {(event.by, event.undoes) for event in events if event.action == "undo"}
        days = Counter(
            event.at[:10]
            for event in events
            if event.task == task
            and event.action not in ("undo", "skip", "note", "pin")
            and (event.by, event.number) not in undone
        )
        measured, problem = _measured(call.site.config.checkpoint, task)
        by_day = [(day, [("day", translate("decided", language), count)]) for day, count in sorted(days.items())[-14:]]
        f1 = [(kind, [getattr(each, kind) for each in measured]) for kind in ("model", "accepted", "active")]
        return pages.render(
            call, "progress.html", task=task, totals=Counter(status.tolist()), rules=len(overview.rules),
            bars=stacked_bars(translate("Progress by label", language), bars),
            covered=intervals(translate("Coverage by label", language), covered),
            precise=intervals(translate("Precision by label", language), precise),
            days=stacked_bars(translate("Decisions by day", language), by_day) if days else "",
            measured=measured[-1] if measured else None, running=measuring.get(task) == "",
            problem=measuring.get(task) or problem,
            f1=shares(translate("Cross-validated F1", language), _figures(measured[-1], language)) if measured else "",
            line=lines(translate("Cross-validated F1", language), f1),
        )  # fmt: skip

    @router.post("/measure")
    def start(call: Asked, task: str) -> Response:
        def work() -> None:
            problem: str | None = "measuring failed; the terminal says why"
            try:
                measure(call.site, task)
                problem = None
            except KdslError as error:
                problem = str(error)
            finally:
                if problem is None:
                    del measuring[task]
                else:
                    measuring[task] = problem

        if measuring.get(call.known(task)) != "":
            measuring[task] = ""
            threading.Thread(target=work, name="kdsl-measure", daemon=True).start()
        return progress(call, task)

    return router


def _measured(checkpoint: Path, task: str) -> tuple[list[Measured], str]:
    """What was measured so far, or why that cannot be read."""
    try:
        return measurements(checkpoint, task), ""
    except KdslError as error:
        return [], str(error)


def _figures(measured: Measured, language: Language) -> list[tuple[str, str, float]]:
    return [
        (translate("model alone", language), "model", measured.model),
        (translate("with accepted rules", language), "accepted", measured.accepted),
        (translate("with all active rules", language), "active", measured.active),
    ]


def _share(index: TaskIndex, bits: Bits, label: int) -> tuple[float | None, float, float, str]:
    """Recall of rules of one label on its samples, with the interval."""
    positives = index.labels == label
    union = np.bitwise_or.reduce(bits, axis=0, initial=0)
    total = int(positives.sum())
    found = int(popcount(np.atleast_1d(union & pack(positives)))) if total else 0
    low, high = wilson_interval(found, total)
    return (found / total if total else None), low, high, counted(found, total)


def _label(text: str | None) -> int | None:
    """The position of a label in an address, -1 for none of them; None where there is no number."""
    return -1 if text == "-1" else whole_number(text or "")
