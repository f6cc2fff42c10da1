"""Routes of the queue and of one rule: look, decide, edit, write."""

import difflib
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from kdsl.errors import KdslError
from kdsl.fields import FIELDS
from kdsl.review import decisions
from kdsl.review.condition_form import Row, conditions_of, rows_of
from kdsl.review.finding_words import finding_words
from kdsl.review.findings import findings
from kdsl.review.form import Form, whole_number
from kdsl.review.journal import Event
from kdsl.review.page import Asked, Call, Pages
from kdsl.review.preview import preview
from kdsl.review.queue import STATUSES, Query, figure, ordered
from kdsl.review.rule_page import Place, edit_values, effect_values, hits_of, place_in_queue, rule_values
from kdsl.review.site import Site
from kdsl.review.store import StaleVersion, StoredRule, version_of
from kdsl.review.task_index import members
from kdsl.review.wording import FIELD_NAMES, rule_words
from kdsl.rules.rule import Rule

PAGE = 50
"""Rules on one page of the queue."""
MORE = 12
"""Hits that "show more" adds."""
Sent = Annotated[Form, Depends(Form.of)]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(prefix="/t/{task}")

    def rule_page(
        call: Call, task: str, id: str, query: Query, event: Event | None = None, push: bool = False,
        place: Place | None = None,
    ) -> Response:  # fmt: skip
        """`place` where it is another than the queue says now."""
        stored = call.site.store.get(task, id)
        answer = pages.render(
            call, "rule.html", query=query, event=event, about=about(call, event),
            place=place or place_in_queue(call.site, task, query, id),
            **rule_values(call.site, stored, call.visitor.language),
        )  # fmt: skip
        if push:
            answer.headers["HX-Push-Url"] = address(task, id, query)
        return answer

    def about(call: Call, event: Event | None) -> str:
        """The rule of the event in words; empty where there is no such rule (any more)."""
        if event is None or event.task not in call.site.tasks:
            return ""
        overview = call.site.overview(event.task)
        if event.rule not in overview.position:
            return ""
        rule = overview.rules[overview.position[event.rule]].rule
        return f"{rule_words(rule.conditions, call.visitor.language)} → {rule.label}"

    def address(task: str, id: str, query: Query) -> str:
        """Of a rule; without an id of the queue."""
        place = f"/t/{quote(task, safe='')}/rules" + (f"/{id}" if id else "")
        return place + (f"?{query.address}" if query.address else "")

    def queue_page(call: Call, task: str, values: Mapping[str, str], event: Event | None = None) -> Response:
        query = Query.of(values)
        overview = call.site.overview(task)
        failing = call.site.failing(task)
        order = ordered(overview, query, call.site.skipped(), failing)
        at = values.get("at", "")
        place = whole_number(values.get("from", "")) or 0
        if at in overview.position and overview.position[at] in order:
            place = order.index(overview.position[at])
        first = place // PAGE * PAGE
        model_known = call.site.indexes[task].predictions is not None
        return pages.render(
            call, "queue.html", task=task, query=query, overview=overview, total=len(order), first=first,
            rows=[(i, figure(overview, i, query.sort, model_known)) for i in order[first : first + PAGE]],
            page=PAGE, statuses=STATUSES, event=event, about=about(call, event), at=at,
            labels=call.site.tasks[task].label_names, failing=failing,
            sources=sorted({stored.rule.provenance.source for stored in overview.rules} - {""}),
        )  # fmt: skip

    def move_on(call: Call, task: str, id: str, form: Form, act: Callable[[], Event]) -> Response:
        """Do it, then show the rule that came next in the queue before it was done."""
        query = _query(form)
        after = place_in_queue(call.site, task, query, id).after
        event = act()
        if not call.by_script:
            return RedirectResponse(address(task, after or id, query), 303)
        if after is None or after == id:
            answer = queue_page(call, task, dict(parse_qsl(form["queue"])), event)
            answer.headers["HX-Push-Url"] = address(task, "", query)
            return answer
        return rule_page(call, task, after, query, event, push=True)

    def stay(call: Call, task: str, id: str, form: Form, act: Callable[[], Event], push: bool = False) -> Response:
        """`push` where the page that asks is another one than the rule's own."""
        query = _query(form)
        before = place_in_queue(call.site, task, query, id)
        event = act()
        if not call.by_script:
            return RedirectResponse(address(task, id, query), 303)
        place = place_in_queue(call.site, task, query, id)
        if before.number and not place.number:  # it left the queue, and what came next still does
            place = Place(0, place.total, before.before, before.after)
        return rule_page(call, task, id, query, event, push, place)

    def rule_now(call: Call, task: str, id: str) -> Rule | None:
        overview = call.site.overview(task)
        return overview.rules[overview.position[id]].rule if id in overview.position else None

    def guarded(call: Call, task: str, id: str, form: Form, act: Callable[[], Response]) -> Response:
        """Where somebody else was faster, the difference instead of a silent overwrite."""
        try:
            return act()
        except StaleVersion as stale:
            now, wanted = (stale.now or "").splitlines(), (stale.wanted or "").splitlines()
            return pages.render(
                call, "conflict.html", 409, task=task, id=id, path=stale.path, theirs=rule_now(call, task, id),
                query=_query(form),
                difference=list(difflib.ndiff(now, wanted)), fields=form.sent(), version=version_of(stale.now),
                again=call.request.url.path if "version" in form and "other_version" not in form else "",
                gone=stale.now is None,
            )  # fmt: skip

    @router.get("/rules")
    def queue(call: Asked, task: str) -> Response:
        return queue_page(call, call.known(task), call.request.query_params)

    @router.get("/rules/{id}")
    def rule(call: Asked, task: str, id: str) -> Response:
        return rule_page(call, call.known(task), id, Query.of(call.request.query_params))

    @router.get("/rules/{id}/hits")
    def more_hits(call: Asked, task: str, id: str) -> Response:
        stored = call.site.store.get(call.known(task), id)
        overview, index = call.site.overview(task), call.site.indexes[task]
        at = overview.position[id]
        rows = members(overview.bits[at], len(index.samples))
        kind = "wrong" if call.request.query_params.get("kind") == "wrong" else "right"
        rows = rows[(index.labels[rows] == overview.labels[at]) == (kind == "right")]
        first = whole_number(call.request.query_params.get("from", "")) or 0
        language = call.visitor.language
        return pages.render(
            call, "hits.html", task=task, stored=stored, rule=stored.rule, kind=kind, first=first + MORE,
            total=len(rows), query=Query.of(call.request.query_params),
            shown=hits_of(call.site, task, stored.rule.conditions, rows[first : first + MORE], language),
        )  # fmt: skip

    @router.get("/rules/{id}/effect")
    def effect(call: Asked, task: str, id: str) -> Response:
        return pages.render(call, "effect.html", **effect_values(call.site, call.site.store.get(call.known(task), id)))

    @router.get("/rules/{id}/lint")
    def lint(call: Asked, task: str, id: str) -> Response:
        found = findings(call.site, call.site.store.get(call.known(task), id))
        language = call.visitor.language
        return pages.render(
            call, "lint.html", task=task, findings=[(each, finding_words(each, language)) for each in found]
        )  # fmt: skip

    @router.post("/rules/{id}/decide")
    def decide(call: Asked, task: str, id: str, form: Sent) -> Response:
        status = form["status"]
        if status not in ("accepted", "rejected", "proposed", "disabled"):
            raise KdslError(f"{status[:60]!r} is no status of a rule")

        def act() -> Event:
            return decisions.decide(
                call.site.store, call.site.reviewer, task, id, form["version"], status, form["reason"]
            )

        return guarded(call, task, id, form, lambda: move_on(call, call.known(task), id, form, act))

    @router.post("/rules/{id}/skip")
    def skip(call: Asked, task: str, id: str, form: Sent) -> Response:
        return move_on(
            call, call.known(task), id, form, lambda: decisions.skip(call.site.store, call.site.reviewer, task, id)
        )  # fmt: skip

    @router.post("/rules/{id}/note")
    def note(call: Asked, task: str, id: str, form: Sent) -> Response:
        def act() -> Event:
            return decisions.note(call.site.store, call.site.reviewer, task, id, form["version"], form["notes"])

        return guarded(call, task, id, form, lambda: stay(call, call.known(task), id, form, act))

    @router.post("/rules/{id}/pin")
    def pin(call: Asked, task: str, id: str, form: Sent) -> Response:
        must = form["must"]
        if must not in ("hit", "miss", "none"):
            raise KdslError(f"{must[:60]!r} is none of hit, miss, none")
        index = call.site.indexes[call.known(task)]
        if must != "none" and form["sample"] not in index.sample_position:
            raise KdslError(f"{task} has no sample {form['sample'][:60]!r}; pin one that the page shows")

        def act() -> Event:
            return decisions.pin(call.site.store, call.site.reviewer, task, id, form["version"], form["sample"], must)

        return guarded(call, task, id, form, lambda: stay(call, call.known(task), id, form, act))

    @router.post("/rules/{id}/merge")
    def merge(call: Asked, task: str, id: str, form: Sent) -> Response:
        def act() -> Event:
            return decisions.merge(
                call.site.store, call.site.reviewer, task, id, form["version"], form["other"], form["other_version"]
            )  # fmt: skip

        return guarded(call, task, id, form, lambda: stay(call, call.known(task), id, form, act))

    @router.get("/rules/{id}/edit")
    def edit_page(call: Asked, task: str, id: str) -> Response:
        stored = call.site.store.get(call.known(task), id)
        return editor(call, task, stored, rows_of(stored.rule.conditions), stored.rule.label)

    @router.post("/rules/{id}/edit")
    def edit(call: Asked, task: str, id: str, form: Sent) -> Response:
        conditions, label = conditions_of(form), _label(call.site, call.known(task), form)

        def act() -> Event:
            return decisions.edit(
                call.site.store,
                call.site.reviewer,
                task,
                id,
                form["version"],
                conditions,
                label,
                accept=bool(form["accept"]),
            )

        return guarded(call, task, id, form, lambda: stay(call, task, id, form, act, push=True))

    @router.get("/new")
    def new_page(call: Asked, task: str) -> Response:
        values = call.request.query_params
        field = values.get("field", "")
        terms = "\n".join(values.getlist("term"))[:2000]
        row = Row(0, field if field in FIELDS else "last_user", terms, False)
        return editor(call, call.known(task), None, [row], values.get("label", ""))

    @router.post("/new")
    def new(call: Asked, task: str, form: Sent) -> Response:
        conditions, label = conditions_of(form), _label(call.site, call.known(task), form)
        event = decisions.create(call.site.store, call.site.reviewer, task, label, conditions)
        return stay_at_new(call, task, event)

    def stay_at_new(call: Call, task: str, event: Event) -> Response:
        if not call.by_script:
            return RedirectResponse(address(task, event.rule, Query(status="all")), 303)
        return rule_page(call, task, event.rule, Query(status="all"), event, push=True)

    def editor(call: Call, task: str, stored: StoredRule | None, rows: list[Row], label: str) -> Response:
        return pages.render(
            call, "edit.html", task=task, stored=stored, rows=rows, label=label,
            fields={field: FIELD_NAMES[call.visitor.language][field] for field in FIELDS},
            labels=call.site.tasks[task].label_names, query=Query.of(call.request.query_params),
        )  # fmt: skip

    @router.post("/preview")
    def live(call: Asked, task: str, form: Sent) -> Response:
        language = call.visitor.language
        saved = call.site.store.get(call.known(task), form["id"]) if form["id"] else None
        if not any(test.strip() for test in form.all("test-").values()):
            return pages.render(call, "preview.html", sentence="", seen=None)
        try:
            conditions, label = conditions_of(form), _label(call.site, task, form)
        except KdslError as error:
            return pages.render(call, "preview.html", sentence=str(error), seen=None)
        seen = preview(call.site.indexes[task], conditions, label, saved)
        return pages.render(
            call, "preview.html", sentence="", seen=seen, new=saved is None, label=label, conditions=conditions,
            **edit_values(call.site, task, conditions, label, saved, seen.flags),
            gained=hits_of(call.site, task, conditions, seen.gained, language),
            lost=hits_of(call.site, task, saved.rule.conditions if saved else (), seen.lost, language),
        )  # fmt: skip

    @router.post("/undo")
    def undo(call: Asked, task: str, form: Sent) -> Response:
        number = whole_number(form["number"])
        if form["number"] and number is None:
            raise KdslError(f"{form['number'][:60]!r} is no number of a decision; the newest is undone without one")

        def act() -> Response:
            event = decisions.undo(call.site.store, call.site.reviewer, number)
            of = event.task if event.task in call.site.tasks else call.known(task)
            query = _query(form) if of == task else Query()
            there = {stored.rule.id for stored in call.site.store.rules(of)}
            if event.rule not in there:
                answer = queue_page(call, of, dict(parse_qsl(query.address)), event)
                answer.headers["HX-Push-Url"] = address(of, "", query)
                return answer
            return rule_page(call, of, event.rule, query, event, push=True)

        return guarded(call, call.known(task), "", form, act)

    return router


def _query(form: Form) -> Query:
    return Query.of(dict(parse_qsl(form["queue"])))


def _label(site: Site, task: str, form: Form) -> str:
    if form["label"] not in site.tasks[task].label_names:
        raise KdslError(f"{form['label'][:60]!r} is not a label of {task}; choose one of the list")
    return form["label"]
