"""Routes for writing rules: edit one, make a new one, and see what either would do before it is saved."""

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from kdsl.errors import KdslError
from kdsl.fields import FIELDS
from kdsl.review import decisions
from kdsl.review.condition_form import Row, conditions_of, rows_of
from kdsl.review.decision_routes import Sent, SentAboutRule
from kdsl.review.form import Form
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.preview import preview
from kdsl.review.queue import Query
from kdsl.review.rule_page import edit_values, hits_of
from kdsl.review.rule_routes import address, rule_page
from kdsl.review.store import StoredRule
from kdsl.rules.wording import FIELD_NAMES

router = APIRouter(prefix="/t/{task}")


@router.get("/rules/{id}/edit")
def edit_page(call: Asked, task: KnownTask, id: str) -> Response:
    stored = call.site.store.get(task, id)
    return _editor(call, task, stored, rows_of(stored.rule.conditions), stored.rule.label)


@router.post("/rules/{id}/edit")
def edit(sent: SentAboutRule) -> Response:
    conditions, label = conditions_of(sent.form), _label(sent.call, sent.task, sent.form)
    version, accept = sent.form["version"], bool(sent.form["accept"])
    return sent.stay(lambda: decisions.edit(*sent.rule, version, conditions, label, accept), push=True)


@router.get("/new")
def new_page(call: Asked, task: KnownTask) -> Response:
    values = call.request.query_params
    field = values.get("field", "")
    terms = "\n".join(values.getlist("term"))[:2000]
    row = Row(0, field if field in FIELDS else "last_user", terms, False)
    return _editor(call, task, None, [row], values.get("label", ""))


@router.post("/new")
def new(call: Asked, task: KnownTask, form: Sent) -> Response:
    conditions, label = conditions_of(form), _label(call, task, form)
    event = decisions.create(call.site.store, call.site.reviewer, task, label, conditions)
    if not call.by_script:
        return RedirectResponse(address(task, event.rule, Query(status="all")), 303)
    return rule_page(call, task, event.rule, Query(status="all"), event, push=True)


@router.post("/preview")
def live(call: Asked, task: KnownTask, form: Sent) -> Response:
    language = call.visitor.language
    saved = call.site.store.get(task, form["id"]) if form["id"] else None
    if not any(test.strip() for test in form.all("test-").values()):
        return call.render("preview.html", sentence="", seen=None)
    try:
        conditions, label = conditions_of(form), _label(call, task, form)
    except KdslError as error:
        return call.render("preview.html", sentence=str(error), seen=None)
    seen = preview(call.site.indexes[task], conditions, label, saved)
    return call.render(
        "preview.html", sentence="", seen=seen, new=saved is None, label=label, conditions=conditions,
        **edit_values(call.site, task, conditions, label, saved, seen.flags),
        gained=hits_of(call.site, task, conditions, seen.gained, language),
        lost=hits_of(call.site, task, saved.rule.conditions if saved else (), seen.lost, language),
    )  # fmt: skip


def _editor(call: Call, task: str, stored: StoredRule | None, rows: list[Row], label: str) -> Response:
    """The form for the rule that is `stored`, or for a new one."""
    return call.render(
        "edit.html", task=task, stored=stored, rows=rows, label=label,
        fields={field: FIELD_NAMES[call.visitor.language][field] for field in FIELDS},
        labels=call.site.tasks[task].label_names, query=Query.of(call.request.query_params),
    )  # fmt: skip


def _label(call: Call, task: str, form: Form) -> str:
    if form["label"] not in call.site.tasks[task].label_names:
        raise KdslError(f"{form['label'][:60]!r} is not a label of {task}; choose one of the list")
    return form["label"]
