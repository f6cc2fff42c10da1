"""Routes of the pages about all rules: gaps, samples, progress."""

import threading
from collections import Counter

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from kdsl.errors import KdslError
from kdsl.review.charts import intervals, stacked_bars, steps
from kdsl.review.gaps import KINDS, find_gaps, rows_of
from kdsl.review.page import Pages, Visitor
from kdsl.review.quality import measure, measurements
from kdsl.review.rule_page import model_label, shown_samples
from kdsl.review.sample_view import show_sample
from kdsl.review.site import Site
from kdsl.review.task_index import Bits, TaskIndex, pack, popcount
from kdsl.review.wording import counted
from kdsl.rules.engine import Engine
from kdsl.rules.statistics import wilson_interval

PAGE = 20
STATUS_ORDER = ("accepted", "proposed", "rejected", "disabled")


def routes(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter(prefix="/t/{task}")
    measuring: dict[str, str] = {}
    """Task → empty while it is measured, else why it could not be."""

    def known_task(task: str) -> str:
        if task not in site.tasks:
            raise KdslError(f"the project has no task {task!r}; it has {', '.join(site.tasks)}")
        return task

    @router.get("/gaps")
    def gaps(request: Request, task: str) -> Response:
        index, overview = site.indexes[known_task(task)], site.overview(task)
        found = find_gaps(index, overview)
        word = index.word
        against = 0
        if word is not None:
            against = int(((found.said >= 0) & (word.said >= 0) & (found.said != word.said)).sum())
        return pages.render(
            request, "gaps.html", task=task, gaps=found, labels=index.task.label_names, samples=len(index.samples),
            uncovered=int((found.said < 0).sum()), contradicting=int(found.contradiction.sum()),
            against=None if word is None else against, most=max(int(found.table.max(initial=0)), 1),
        )  # fmt: skip

    @router.get("/samples")
    def samples(request: Request, task: str) -> Response:
        index = site.indexes[known_task(task)]
        values = request.query_params
        kind = values.get("kind", "cell")
        if kind not in KINDS:
            raise KdslError(f"{kind!r} is none of {', '.join(KINDS)}")
        gaps = find_gaps(index, site.overview(task))
        truth, said = _label(values.get("truth")), _label(values.get("said"))
        rows = rows_of(index, gaps, kind, truth, said)
        first = max(0, _label(values.get("from")) or 0)
        shown = rows[first : first + PAGE].tolist()
        language = Visitor.of(request, site).language
        return pages.render(
            request, "samples.html", task=task, kind=kind, truth=truth, said=said, total=len(rows), first=first,
            page=PAGE, labels=index.task.label_names,
            shown=[
                (sample, model_label(site, task, sample.position), int(gaps.said[sample.position]))
                for sample in shown_samples(site, task, shown, language)
            ],
        )  # fmt: skip

    @router.get("/samples/{position}")
    def sample(request: Request, task: str, position: int) -> Response:
        index, overview = site.indexes[known_task(task)], site.overview(task)
        if not 0 <= position < len(index.samples):
            raise KdslError(f"there is no sample {position}; {task} has {len(index.samples)}")
        bits = overview.bits[:, position >> 6] >> np.uint64(position & 63) & np.uint64(1)
        hitting = [overview.rules[int(i)] for i in np.flatnonzero(bits & overview.active)]
        [hits] = Engine([stored.rule for stored in hitting]).hits(index.table.select([position]))
        evidence = [each for hit in hits for each in hit.evidence if each.span is not None]
        language = Visitor.of(request, site).language
        shown = show_sample(
            position, index.samples[position], site.sidecars, site.image_address, evidence, language
        )  # fmt: skip
        return pages.render(
            request, "sample.html", task=task, sample=shown, hitting=hitting, word=model_label(site, task, position)
        )

    @router.get("/progress")
    def progress(request: Request, task: str) -> Response:
        index, overview = site.indexes[known_task(task)], site.overview(task)
        names = index.task.label_names
        status = np.array([stored.rule.status for stored in overview.rules], dtype=object)
        bars, covered, precise = [], [], []
        for label, name in enumerate(names):
            own = overview.labels == label
            bars.append((name, [(kind, int((own & (status == kind)).sum())) for kind in STATUS_ORDER]))
            covered.append((name, *_share(index, overview.bits[own & overview.active], label)))
            live = own & overview.active
            right, hits = int(overview.correct[live].sum()), int(overview.hits[live].sum())
            low, high = wilson_interval(right, hits)
            precise.append((name, right / hits if hits else None, low, high, counted(right, hits)))
        days = Counter(event.at[:10] for event in site.store.history() if event.action != "undo")
        measured = measurements(site.config.checkpoint, task)
        scores = [score for each in measured for score in (each.model, each.accepted, each.active)]
        return pages.render(
            request, "progress.html", task=task, totals=Counter(status.tolist()), rules=len(overview.rules),
            bars=stacked_bars(bars), covered=intervals(covered), precise=intervals(precise),
            days=stacked_bars([(day, [("accepted", count)]) for day, count in sorted(days.items())[-14:]]),
            measured=measured[-1] if measured else None, running=measuring.get(task) == "",
            problem=measuring.get(task) or "",
            line=steps([each.accepted for each in measured], min(scores, default=0.0), max(scores, default=1.0)),
        )  # fmt: skip

    @router.post("/measure")
    def start(request: Request, task: str) -> Response:
        def work() -> None:
            try:
                measure(site, task)
                del measuring[task]
            except KdslError as error:
                measuring[task] = str(error)

        if measuring.get(known_task(task)) != "":
            measuring[task] = ""
            threading.Thread(target=work, name="kdsl-measure", daemon=True).start()
        return progress(request, task)

    return router


def _share(index: TaskIndex, bits: Bits, label: int) -> tuple[float | None, float, float, str]:
    """Recall of rules of one label on its samples, with the interval."""
    positives = index.labels == label
    union = np.bitwise_or.reduce(bits, axis=0, initial=0)
    total = int(positives.sum())
    found = int(popcount(np.atleast_1d(union & pack(positives)))) if total else 0
    low, high = wilson_interval(found, total)
    return (found / total if total else None), low, high, counted(found, total)


def _label(text: str | None) -> int | None:
    """A whole number of an address; None where it is none."""
    if text is None or not text.lstrip("-").isdecimal() or len(text) > 8:
        return None
    return int(text)
