"""Routes for deciding about rules: accept, reject, skip, note, pin, merge, undo."""

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Literal, cast, get_args
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.form import Form, Sent, whole_number
from kdsl.review.journal import Event, version_of
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.queue import SURE, Query, sure_rules
from kdsl.review.rule_page import Place, following, place_in_queue
from kdsl.review.rule_routes import address, queue_page, rule_page
from kdsl.review.store import RuleStore, StaleVersion
from kdsl.rules.rule import Status

router = APIRouter(prefix="/t/{task}")


@dataclass(frozen=True)
class RuleForm:
    """A form about one rule, sent from the page of a queue."""

    call: Call
    task: str
    id: str
    form: Form

    @property
    def query(self) -> Query:
        return query_of(self.form)

    @property
    def rule(self) -> tuple[RuleStore, str, str, str]:
        """The first arguments of the functions in `decisions`."""
        return self.call.site.store, self.call.site.reviewer, self.task, self.id

    def move_on(self, act: Callable[[], Event], others: Collection[str] = ()) -> Response:
        """Do it, then show what comes next: of the rules that stood behind this one in the queue, past `others`, the
        first in the queue as it is now: a near copy of what was accepted, for instance, stands far behind by now."""
        call, query = self.call, self.query
        behind = {*following(call.site, self.task, query, self.id)} - {*others}
        try:
            event = act()
        except StaleVersion as stale:
            return conflict_page(call, self.task, self.id, self.form, stale)
        after = next((each for each in call.site.queue(self.task, query) if each in behind), None)
        if not call.by_script:
            return RedirectResponse(address(self.task, after or self.id, query), 303)
        if after is None:
            return _queue_after(call, self.task, query, event)
        return rule_page(call, self.task, after, query, event, push=True)

    def stay(self, act: Callable[[], Event], push: bool = False) -> Response:
        """Do it, then show the same rule. `push` where the page that asks is another one than the rule's own."""
        call, query = self.call, self.query
        before = place_in_queue(call.site, self.task, query, self.id)
        try:
            event = act()
        except StaleVersion as stale:
            return conflict_page(call, self.task, self.id, self.form, stale)
        if not call.by_script:
            return RedirectResponse(address(self.task, self.id, query), 303)
        place = place_in_queue(call.site, self.task, query, self.id)
        if before.number and not place.number:  # it left the queue, and what came next still does
            place = Place(0, place.total, before.before, before.after)
        return rule_page(call, self.task, self.id, query, event, push, place)


async def _rule_form(call: Asked, task: KnownTask, id: str, form: Sent) -> RuleForm:
    return RuleForm(call, task, id, form)


SentAboutRule = Annotated[RuleForm, Depends(_rule_form)]


@router.post("/rules/{id}/decide")
def decide(sent: SentAboutRule) -> Response:
    form = sent.form
    if form["status"] not in get_args(Status):
        raise KdslError(f"{form['status'][:60]!r} is no status of a rule")
    status = cast(Status, form["status"])
    return sent.move_on(lambda: decisions.decide(*sent.rule, form["version"], status, form["reason"]))


@router.post("/rules/{id}/twins")
def decide_twins(sent: SentAboutRule) -> Response:
    """One decision for a rule and its near copies, each of which is sent as copy-ID with the version looked at."""
    form, (store, by, task, id) = sent.form, sent.rule
    if form["status"] not in ("accepted", "rejected"):
        raise KdslError(f"{form['status'][:60]!r} is none of accepted, rejected")
    status = cast(Literal["accepted", "rejected"], form["status"])
    copies = form.all("copy-")
    overview = sent.call.site.overview(task)
    known = {overview.rules[i].rule.id for i in overview.copies(overview.position.get(id, -1))}
    for copy in copies:
        if copy not in known:
            raise KdslError(f"{copy[:60]!r} is no near copy of {id}, or not any more; open the rule again")
    best = id, form["version"]
    return sent.move_on(lambda: decisions.decide_twins(store, by, task, best, list(copies.items()), status), copies)


@router.get("/sure")
def sure_page(call: Asked, task: KnownTask) -> Response:
    """All rules for a label that could be accepted at once, to be looked at before."""
    overview, query = call.site.overview(task), Query.of(call.request.query_params)
    found = sure_rules(overview, query.label)
    # Of near copies one is enough: the others wait for a decision of their own.
    copies = {i for i in found if overview.best[i] != i and int(overview.best[i]) in found}
    return call.render("sure.html", task=task, query=query, overview=overview, found=found, copies=copies, sure=SURE)


@router.post("/sure")
def accept_sure(call: Asked, task: KnownTask, form: Sent) -> Response:
    """Accept those that are still ticked, each sent as rule-ID with the version looked at; nothing else."""
    query, overview = query_of(form), call.site.overview(task)
    known = {overview.rules[i].rule.id for i in sure_rules(overview, query.label)}
    chosen = list(form.all("rule-").items())
    for id, _ in chosen:
        if id not in known:
            raise KdslError(f"{id[:60]!r} is no open rule for {query.label!r} above {SURE}; open the list again")
    if not chosen:
        raise KdslError("no rule is ticked, so none is accepted; tick at least one")
    try:
        event = decisions.accept_together(call.site.store, call.site.reviewer, task, chosen)
    except StaleVersion as stale:
        return conflict_page(call, task, "", form, stale)
    return _queue_after(call, task, query, event)


@router.post("/rules/{id}/skip")
def skip(sent: SentAboutRule) -> Response:
    return sent.move_on(lambda: decisions.skip(*sent.rule))


@router.post("/rules/{id}/note")
def note(sent: SentAboutRule) -> Response:
    return sent.stay(lambda: decisions.note(*sent.rule, sent.form["version"], sent.form["notes"]))


@router.post("/rules/{id}/pin")
def pin(sent: SentAboutRule) -> Response:
    sample = sent.form["sample"]
    if sent.form["must"] not in get_args(decisions.Must):
        raise KdslError(f"{sent.form['must'][:60]!r} is none of hit, miss, none")
    must = cast(decisions.Must, sent.form["must"])
    if must != "none" and sent.call.site.indexes[sent.task].sample(sample) is None:
        raise KdslError(f"{sent.task} has no sample {sample[:60]!r}; pin one that the page shows")
    return sent.stay(lambda: decisions.pin(*sent.rule, sent.form["version"], sample, must))


@router.post("/rules/{id}/merge")
def merge(sent: SentAboutRule) -> Response:
    form = sent.form
    return sent.stay(
        lambda: decisions.merge(*sent.rule, form["version"], form["other"], form["other_version"])
    )  # fmt: skip


@router.post("/undo")
def undo(call: Asked, task: KnownTask, form: Sent) -> Response:
    number = whole_number(form["number"])
    if form["number"] and number is None:
        raise KdslError(f"{form['number'][:60]!r} is no number of a decision; the newest is undone without one")
    try:
        event = decisions.undo(call.site.store, call.site.reviewer, number)
    except StaleVersion as stale:
        return conflict_page(call, task, "", form, stale)
    of = event.task if event.task in call.site.tasks else task
    query = query_of(form) if of == task else Query()
    if event.rule not in {stored.rule.id for stored in call.site.store.rules(of)}:
        return _queue_after(call, of, query, event)
    return rule_page(call, of, event.rule, query, event, push=True)


def query_of(form: Form) -> Query:
    """The queue that the page that sent the form stands in."""
    return Query.of(dict(parse_qsl(form["queue"])))


def conflict_page(call: Call, task: str, id: str, form: Form, stale: StaleVersion) -> Response:
    """Somebody else was faster: the difference, instead of a silent overwrite."""
    now, wanted = (stale.now or "").splitlines(), (stale.wanted or "").splitlines()
    overview = call.site.overview(task)
    several = "other_version" in form or bool(form.all("copy-"))  # one version cannot stand for all
    return call.render(
        "conflict.html", 409, task=task, id=id, path=stale.path, query=query_of(form),
        theirs=overview.rules[overview.position[id]].rule if id in overview.position else None,
        difference=list(difflib.ndiff(now, wanted)), fields=form.sent(), version=version_of(stale.now),
        again="" if several or "version" not in form else call.request.url.path,
        gone=stale.now is None,
    )  # fmt: skip


def _queue_after(call: Call, task: str, query: Query, event: Event) -> Response:
    """The queue, and the `event` that was just done; the browser's address becomes that of the queue."""
    answer = queue_page(call, task, dict(parse_qsl(query.address)), event)
    answer.headers["HX-Push-Url"] = address(task, "", query)
    return answer
