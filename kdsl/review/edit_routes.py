"""Routes for writing rules: edit one, make a new one, and see what either would do before it is saved."""

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from kdsl.errors import KdslError
from kdsl.fields import FIELDS, TEXT_FIELDS
from kdsl.review import decisions
from kdsl.review.charts import similarities
from kdsl.review.condition_form import LEAST_SIMILARITY, Row, choices, conditions_of, is_written, names, rows_of
from kdsl.review.decision_routes import SentAboutRule
from kdsl.review.form import Form, Sent
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.preview import preview
from kdsl.review.queue import Query
from kdsl.review.rule_page import edit_values, hits_of
from kdsl.review.rule_routes import address, rule_page
from kdsl.review.store import StoredRule
from kdsl.review.threshold import thresholds, unlike

router = APIRouter(prefix="/t/{task}")


@router.get("/rules/{id}/edit")
def edit_page(call: Asked, task: KnownTask, id: str) -> Response:
    stored = call.site.store.get(task, id)
    rows = rows_of(stored.rule.conditions, _encoder(call, task))
    return _editor(call, task, stored, rows, stored.rule.label)


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
    compared = values.get("compared", "")
    row = Row(
        "0", field if field in FIELDS else "last_user", terms, encoder=_encoder(call, task),
        compared=compared if compared in TEXT_FIELDS else "last_user",
    )  # fmt: skip
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
    if not is_written(form):
        return call.render("preview.html", sentence="", seen=None)
    try:
        conditions, label = conditions_of(form), _label(call, task, form)
    except KdslError as error:
        return call.render("preview.html", sentence=str(error), seen=None)
    index = call.site.indexes[task]
    seen = preview(index, conditions, label, saved)
    return call.render(
        "preview.html", sentence="", seen=seen, new=saved is None, label=label, conditions=conditions,
        unlike=unlike(index, conditions, language),
        thresholds=[
            (each, similarities(label, each.right.tolist(), each.wrong.tolist(), LEAST_SIMILARITY, each.meaning.at))
            for each in thresholds(index, conditions, label)
        ],
        **edit_values(call.site, task, conditions, label, saved),
        wrong=hits_of(call.site, task, seen.known, conditions, seen.wrong, language),
        gained=hits_of(call.site, task, seen.known, conditions, seen.gained, language),
        lost=hits_of(call.site, task, seen.known, saved.rule.conditions if saved else (), seen.lost, language),
    )  # fmt: skip


def _editor(call: Call, task: str, stored: StoredRule | None, rows: list[Row], label: str) -> Response:
    """The form for the rule that is `stored`, or for a new one."""
    return call.render(
        "edit.html", task=task, stored=stored, rows=rows, label=label,
        blank=Row("N", encoder=_encoder(call, task)), encoder=_encoder(call, task), least=LEAST_SIMILARITY,
        fields=choices(call.visitor.language), names=names(call.visitor.language),
        labels=call.site.tasks[task].label_names, query=Query.of(call.request.query_params),
    )  # fmt: skip


def _encoder(call: Call, task: str) -> str:
    """The name of the project's encoder; empty without one."""
    vectors = call.site.indexes[task].table.sentence_vectors
    return "" if vectors is None else vectors.name


def _label(call: Call, task: str, form: Form) -> str:
    if form["label"] not in call.site.tasks[task].label_names:
        raise KdslError(f"{form['label'][:60]!r} is not a label of {task}; choose one of the list")
    return form["label"]
