"""Routes of the queue and of one rule: look, decide, edit, write."""

import difflib
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from kdsl.errors import KdslError
from kdsl.fields.names import FIELDS
from kdsl.review import decisions
from kdsl.review.condition_form import Row, conditions_of, rows_of
from kdsl.review.journal import Event
from kdsl.review.page import Form, Pages, Visitor
from kdsl.review.preview import preview
from kdsl.review.queue import FLAGS, SORTS, STATUSES, Query, ordered
from kdsl.review.rule_page import effect_values, hits_of, place_in_queue, rule_values, shown_samples
from kdsl.review.site import Site
from kdsl.review.store import StaleVersion, StoredRule, version_of
from kdsl.review.task_index import members

PAGE = 50
"""Rules on one page of the queue."""
MORE = 12
"""Hits that "show more" adds."""
Sent = Annotated[Form, Depends(Form.of)]


def routes(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter(prefix="/t/{task}")

    def known_task(task: str) -> str:
        if task not in site.tasks:
            raise KdslError(f"the project has no task {task!r}; it has {', '.join(site.tasks)}")
        return task

    def rule_page(
        request: Request, task: str, id: str, query: Query, event: Event | None = None, push: bool = False
    ) -> Response:
        visitor = Visitor.of(request, site)
        stored = site.store.get(task, id)
        answer = pages.render(
            request, "rule.html", query=query, event=event, place=place_in_queue(site, task, query, id, visitor.name),
            **rule_values(site, stored, visitor.language),
        )  # fmt: skip
        if push:
            answer.headers["HX-Push-Url"] = address(task, id, query)
        return answer

    def address(task: str, id: str, query: Query) -> str:
        return f"/t/{quote(task, safe='')}/rules/{id}" + (f"?{query.address}" if query.address else "")

    def queue_page(request: Request, task: str, values: Mapping[str, str], event: Event | None = None) -> Response:
        visitor, query = Visitor.of(request, site), Query.of(values)
        overview = site.overview(task)
        failing = site.failing(task)
        order = ordered(overview, query, site.skipped(visitor.name), failing)
        first = _number(values.get("from", "")) // PAGE * PAGE
        return pages.render(
            request, "queue.html", task=task, query=query, overview=overview, total=len(order), first=first,
            rows=order[first : first + PAGE], page=PAGE, statuses=STATUSES, flags=FLAGS, sorts=SORTS, event=event,
            labels=site.tasks[task].label_names, failing=failing,
            sources=sorted({stored.rule.provenance.source for stored in overview.rules} - {""}),
        )  # fmt: skip

    def move_on(request: Request, task: str, id: str, form: Form, act: Callable[[str], Event]) -> Response:
        """Do it, then show the rule that came next in the queue before it was done."""
        query = _query(form)
        by = Visitor.of(request, site).name
        after = place_in_queue(site, task, query, id, by).after
        event = act(by)
        if request.headers.get("hx-request") != "true":
            return RedirectResponse(address(task, after or id, query), 303)
        if after is None or after == id:
            answer = queue_page(request, task, dict(parse_qsl(form["queue"])), event)
            answer.headers["HX-Push-Url"] = f"/t/{quote(task, safe='')}/rules"
            return answer
        return rule_page(request, task, after, query, event, push=True)

    def stay(request: Request, task: str, id: str, form: Form, act: Callable[[str], Event]) -> Response:
        event = act(Visitor.of(request, site).name)
        if request.headers.get("hx-request") != "true":
            return RedirectResponse(address(task, id, _query(form)), 303)
        return rule_page(request, task, id, _query(form), event, push=True)

    def guarded(request: Request, task: str, id: str, form: Form, act: Callable[[], Response]) -> Response:
        """Where somebody else was faster, the difference instead of a silent overwrite."""
        try:
            return act()
        except StaleVersion as stale:
            now, wanted = (stale.now or "").splitlines(), (stale.wanted or "").splitlines()
            return pages.render(
                request, "conflict.html", 409, task=task, id=id, sentence=str(stale), query=_query(form),
                difference=list(difflib.ndiff(now, wanted)), fields=form.sent(), version=version_of(stale.now),
                again=request.url.path if "version" in form and "other_version" not in form else "",
                gone=stale.now is None,
            )  # fmt: skip

    @router.get("/rules")
    def queue(request: Request, task: str) -> Response:
        return queue_page(request, known_task(task), request.query_params)

    @router.get("/rules/{id}")
    def rule(request: Request, task: str, id: str) -> Response:
        return rule_page(request, known_task(task), id, Query.of(request.query_params))

    @router.get("/rules/{id}/hits")
    def more_hits(request: Request, task: str, id: str) -> Response:
        stored = site.store.get(known_task(task), id)
        overview, index = site.overview(task), site.indexes[task]
        at = overview.position[id]
        rows = members(overview.bits[at], len(index.samples))
        kind = "wrong" if request.query_params.get("kind") == "wrong" else "right"
        rows = rows[(index.labels[rows] == overview.labels[at]) == (kind == "right")]
        first = _number(request.query_params.get("from", ""))
        language = Visitor.of(request, site).language
        return pages.render(
            request, "hits.html", task=task, stored=stored, rule=stored.rule, kind=kind, first=first + MORE,
            total=len(rows), shown=hits_of(site, task, stored.rule, rows[first : first + MORE], language),
        )  # fmt: skip

    @router.get("/rules/{id}/effect")
    def effect(request: Request, task: str, id: str) -> Response:
        return pages.render(request, "effect.html", **effect_values(site, site.store.get(known_task(task), id)))

    @router.post("/rules/{id}/decide")
    def decide(request: Request, task: str, id: str, form: Sent) -> Response:
        status = form["status"]
        if status not in ("accepted", "rejected", "proposed", "disabled"):
            raise KdslError(f"{status!r} is no status of a rule")

        def act(by: str) -> Event:
            return decisions.decide(site.store, by, task, id, form["version"], status, form["reason"])

        return guarded(request, task, id, form, lambda: move_on(request, known_task(task), id, form, act))

    @router.post("/rules/{id}/skip")
    def skip(request: Request, task: str, id: str, form: Sent) -> Response:
        return move_on(
            request, known_task(task), id, form, lambda by: decisions.skip(site.store, by, task, id)
        )  # fmt: skip

    @router.post("/rules/{id}/note")
    def note(request: Request, task: str, id: str, form: Sent) -> Response:
        def act(by: str) -> Event:
            return decisions.note(site.store, by, task, id, form["version"], form["notes"])

        return guarded(request, task, id, form, lambda: stay(request, known_task(task), id, form, act))

    @router.post("/rules/{id}/pin")
    def pin(request: Request, task: str, id: str, form: Sent) -> Response:
        must = form["must"]
        if must not in ("hit", "miss", "none"):
            raise KdslError(f"{must!r} is none of hit, miss, none")

        def act(by: str) -> Event:
            return decisions.pin(site.store, by, task, id, form["version"], form["sample"], must)

        return guarded(request, task, id, form, lambda: stay(request, known_task(task), id, form, act))

    @router.post("/rules/{id}/merge")
    def merge(request: Request, task: str, id: str, form: Sent) -> Response:
        def act(by: str) -> Event:
            return decisions.merge(
                site.store, by, task, id, form["version"], form["other"], form["other_version"]
            )  # fmt: skip

        return guarded(request, task, id, form, lambda: stay(request, known_task(task), id, form, act))

    @router.get("/rules/{id}/edit")
    def edit_page(request: Request, task: str, id: str) -> Response:
        stored = site.store.get(known_task(task), id)
        return editor(request, task, stored, rows_of(stored.rule.conditions), stored.rule.label)

    @router.post("/rules/{id}/edit")
    def edit(request: Request, task: str, id: str, form: Sent) -> Response:
        conditions, label = conditions_of(form), _label(site, known_task(task), form)

        def act(by: str) -> Event:
            return decisions.edit(
                site.store, by, task, id, form["version"], conditions, label, accept=bool(form["accept"])
            )

        return guarded(request, task, id, form, lambda: stay(request, task, id, form, act))

    @router.get("/new")
    def new_page(request: Request, task: str) -> Response:
        values = request.query_params
        field = values.get("field", "")
        terms = "\n".join(values.getlist("term"))[:2000]
        row = Row(0, field if field in FIELDS else "last_user", terms, False)
        return editor(request, known_task(task), None, [row], values.get("label", ""))

    @router.post("/new")
    def new(request: Request, task: str, form: Sent) -> Response:
        conditions, label = conditions_of(form), _label(site, known_task(task), form)
        by = Visitor.of(request, site).name
        event = decisions.create(site.store, by, task, label, conditions)
        return stay_at_new(request, task, event)

    def stay_at_new(request: Request, task: str, event: Event) -> Response:
        if request.headers.get("hx-request") != "true":
            return RedirectResponse(address(task, event.rule, Query(status="all")), 303)
        return rule_page(request, task, event.rule, Query(status="all"), event, push=True)

    def editor(request: Request, task: str, stored: StoredRule | None, rows: list[Row], label: str) -> Response:
        return pages.render(
            request, "edit.html", task=task, stored=stored, rows=rows, label=label, fields=FIELDS,
            labels=site.tasks[task].label_names, query=Query.of(request.query_params),
        )  # fmt: skip

    @router.post("/preview")
    def live(request: Request, task: str, form: Sent) -> Response:
        language = Visitor.of(request, site).language
        saved = site.store.get(known_task(task), form["id"]) if form["id"] else None
        try:
            conditions, label = conditions_of(form), _label(site, task, form)
        except KdslError as error:
            return pages.render(request, "preview.html", sentence=str(error), seen=None, gained=(), lost=(), task=task)
        seen = preview(site.indexes[task], conditions, label, saved)
        return pages.render(
            request, "preview.html", sentence="", seen=seen, task=task, label=label, conditions=conditions,
            gained=shown_samples(site, task, seen.gained, language),
            lost=shown_samples(site, task, seen.lost, language),
        )  # fmt: skip

    @router.post("/undo")
    def undo(request: Request, task: str, form: Sent) -> Response:
        number = int(form["number"]) if form["number"].isdecimal() else None

        def act() -> Response:
            event = decisions.undo(site.store, Visitor.of(request, site).name, number)
            of = event.task if event.task in site.tasks else known_task(task)
            there = {stored.rule.id for stored in site.store.rules(of)}
            if event.rule not in there:
                answer = queue_page(request, of, {}, event)
                answer.headers["HX-Push-Url"] = f"/t/{quote(of, safe='')}/rules"
                return answer
            return rule_page(request, of, event.rule, _query(form), event, push=True)

        return guarded(request, known_task(task), "", form, act)

    return router


def _query(form: Form) -> Query:
    return Query.of(dict(parse_qsl(form["queue"])))


def _label(site: Site, task: str, form: Form) -> str:
    if form["label"] not in site.tasks[task].label_names:
        raise KdslError(f"{form['label']!r} is not a label of {task}; choose one of the list")
    return form["label"]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
