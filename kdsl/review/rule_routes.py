"""Routes for looking at rules: the queue, and one rule with its hits, its effect and what lint finds about it."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from kdsl.errors import KdslError
from kdsl.review.findings import findings
from kdsl.review.form import whole_number
from kdsl.review.journal import Event, decided_together
from kdsl.review.labelling import Group
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.queue import STATUSES, SURE, Query, figure, ordered, sure_rules
from kdsl.review.rule_feedback import feedback_values
from kdsl.review.rule_page import (
    Place,
    effect_values,
    hits_of,
    labelled_hits,
    place_in_queue,
    rule_values,
    unlabelled_rows,
)
from kdsl.review.task_index import Hits, Overview
from kdsl.rules.finding import check_name, pieces
from kdsl.rules.wording import rule_words

RULES_ON_A_PAGE = 50
GROUPS_IN_QUEUE = 10
"""Groups to label that stand among the rules, at most; the page on which one labels has more."""
HITS_MORE = 12
"""Hits that "show more" adds."""

router = APIRouter(prefix="/t/{task}")


@router.get("/rules")
def queue(call: Asked, task: KnownTask) -> Response:
    return queue_page(call, task, call.request.query_params)


@router.get("/rules/{id}")
def rule(call: Asked, task: KnownTask, id: str) -> Response:
    return rule_page(call, task, id, Query.of(call.request.query_params))


@router.get("/rules/{id}/hits")
def more_hits(call: Asked, task: KnownTask, id: str) -> Response:
    stored = call.site.store.get(task, id)
    overview, index = call.site.overview(task), call.site.indexes[task]
    kind = call.request.query_params.get("kind", "")
    if kind not in ("right", "wrong", "unlabelled"):
        raise KdslError(f"{kind[:60]!r} is none of right, wrong, unlabelled")
    at = overview.position[id]
    known: Hits = index.unlabelled
    if kind == "unlabelled":
        rows = unlabelled_rows(call.site, task, at)
    else:
        known = index.known(*stored.rule.conditions)
        rows = labelled_hits(known, stored, int(overview.labels[at]))[kind == "wrong"]
    first = whole_number(call.request.query_params.get("from", "")) or 0
    end = first + HITS_MORE
    return call.render(
        "hits.html", task=task, stored=stored, rule=stored.rule, kind=kind, first=end, total=len(rows),
        query=Query.of(call.request.query_params),
        shown=hits_of(call.site, task, known, stored.rule.conditions, rows[first:end], call.visitor.language),
    )  # fmt: skip


@router.get("/rules/{id}/effect")
def effect(call: Asked, task: KnownTask, id: str) -> Response:
    return call.render("effect.html", **effect_values(call.site, call.site.store.get(task, id)))


@router.get("/rules/{id}/lint")
def lint(call: Asked, task: KnownTask, id: str) -> Response:
    language = call.visitor.language
    shown = [
        (each, check_name(each.check, language), pieces(each.check, each.values, language))
        for each in findings(call.site, call.site.store.get(task, id))
    ]
    return call.render("lint.html", task=task, findings=shown)


def queue_page(call: Call, task: str, values: Mapping[str, str], event: Event | None = None) -> Response:
    """The rules that the query in `values` lets pass, from the one `at` or at number `from` on."""
    query = Query.of(values)
    overview = call.site.overview(task)
    failing = call.site.failing(task)
    order = ordered(overview, query, call.site.skipped(), failing)
    at = values.get("at", "")
    place = whole_number(values.get("from", "")) or 0
    if at in overview.position and overview.position[at] in order:
        place = order.index(overview.position[at])
    first = place // RULES_ON_A_PAGE * RULES_ON_A_PAGE
    index = call.site.indexes[task]
    model_known = index.predictions is not None
    rows = order[first : first + RULES_ON_A_PAGE]
    groups = call.site.labelling.groups(call.site, task)
    best = max((float(overview.value[i]) for i in order), default=0.0)
    return call.render(
        "queue.html", task=task, query=query, overview=overview, total=len(order), first=first,
        rows=[(i, figure(overview, i, query.sort, model_known), index.counts(overview, i)) for i in rows],
        copies={i: int((overview.best[order] == i).sum()) - 1 for i in rows if overview.best[i] == i},
        sure=len(sure_rules(overview, query.label)), least=SURE, together=_together(call, event),
        groups=_between(overview, order, first, groups[:GROUPS_IN_QUEUE]) if query == Query() else {},
        label_first=bool(groups) and groups[0].value > best,
        page=RULES_ON_A_PAGE, statuses=STATUSES, event=event, about=_about(call, event), at=at,
        labels=call.site.tasks[task].label_names, failing=failing,
        sources=sorted({stored.rule.provenance.source for stored in overview.rules} - {""}),
    )  # fmt: skip


def rule_page(
    call: Call, task: str, id: str, query: Query, event: Event | None = None, push: bool = False,
    place: Place | None = None,
) -> Response:  # fmt: skip
    """One rule, and the `event` that was just done. `place` where it is another than the queue says now.

    With `push` the browser's address becomes that of the rule.
    """
    stored = call.site.store.get(task, id)
    answer = call.render(
        "rule.html", query=query, event=event, about=_about(call, event), together=_together(call, event),
        place=place or place_in_queue(call.site, task, query, id),
        **rule_values(call.site, stored, call.visitor.language),
        **feedback_values(call.site, stored, call.visitor.language),
    )  # fmt: skip
    if push:
        answer.headers["HX-Push-Url"] = address(task, id, query)
    return answer


def address(task: str, id: str, query: Query) -> str:
    """Of a rule; without an id of the queue."""
    place = f"/t/{quote(task, safe='')}/rules" + (f"/{id}" if id else "")
    return place + (f"?{query.address}" if query.address else "")


def _together(call: Call, event: Event | None) -> int:
    """How many rules were decided about together in the event; 1 for a decision of its own."""
    return 1 if event is None else len(decided_together(call.site.store.journal(event.by), event))


def _between(overview: Overview, order: Sequence[int], first: int, groups: Sequence[Group]) -> dict[int, list[Group]]:
    """Groups to label, by the rule that they stand before: the first one that is worth less, near copies aside.

    These are those of the page that begins at place `first` of `order`; groups behind the last rule are at -1.
    """
    bests = [at for at, i in enumerate(order) if overview.best[i] == i]
    worth = [-float(overview.value[order[at]]) for at in bests]
    found: dict[int, list[Group]] = {}
    for group in groups:
        place = bisect_right(worth, -group.value)
        at = bests[place] if place < len(bests) else len(order)
        if first <= at < first + RULES_ON_A_PAGE:
            found.setdefault(order[at] if at < len(order) else -1, []).append(group)
    return found


def _about(call: Call, event: Event | None) -> str:
    """The rule of the event in words; empty where there is no such rule (any more)."""
    if event is None or event.task not in call.site.tasks:
        return ""
    overview = call.site.overview(event.task)
    if event.rule not in overview.position:
        return ""
    rule = overview.rules[overview.position[event.rule]].rule
    return f"{rule_words(rule.conditions, call.visitor.language)} → {rule.label}"
