"""Routes of the page on which people look at doubtful labels: one sample after the other, the most doubtful first."""

from collections.abc import Sequence
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from kdsl.data.label_log import LabelEvent, changed_since
from kdsl.errors import KdslError
from kdsl.label_matrix import require_one_label
from kdsl.project.label_issues import LabelIssue
from kdsl.review.form import Sent
from kdsl.review.giving import behind, label_in, take_back
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.sample_view import show_sample
from kdsl.sample import Sample

SHOWN = 50
"""Samples in the list beside the one that is looked at."""

router = APIRouter(prefix="/t/{task}/labels")


@router.get("")
def labels(call: Asked, task: KnownTask, at: str = "") -> Response:
    return _page(call, task, at)


@router.post("/give")
def give(call: Asked, task: KnownTask, form: Sent) -> Response:
    """A label for the sample `sample`, which the person saw with the label `seen`; the same one where it is right."""
    review = call.site.labels
    require_one_label([call.site.indexes[task].task], "this page")
    label = label_in(call, task, form)
    sample = _sample(call, task, form["sample"])
    if sample.label != form["seen"]:
        raise changed_since(review.log.path, sample)
    following = _following(call, task, form["sample"])
    event = review.log.give(sample, label, call.site.reviewer)
    return _move_on(call, task, following, event)


@router.post("/skip")
def skip(call: Asked, task: KnownTask, form: Sent) -> Response:
    following = _following(call, task, _sample(call, task, form["sample"]).fingerprint)
    call.site.labels.skip(task, form["sample"])
    return _move_on(call, task, following)


@router.post("/undo")
def undo(call: Asked, task: KnownTask) -> Response:
    """Take back the last label that the reviewer gave, and show its sample."""
    event, of = take_back(call, task)
    return _page(call, of, event.fingerprint, event, undone=True)


def _issues(call: Call, task: str) -> list[LabelIssue]:
    site = call.site
    return site.labels.issues(site.indexes[task], site.store.rules(task), site.store.generation)


def _sample(call: Call, task: str, fingerprint: str) -> Sample:
    """The sample with the label that it has by now; KdslError where there is none."""
    given = call.site.labels.log.given()
    for sample in call.site.indexes[task].samples:
        if sample.fingerprint == fingerprint:
            return given.now(sample)
    raise KdslError(f"{task} has no such sample any more; open the list again")


def _following(call: Call, task: str, fingerprint: str) -> Sequence[str]:
    """What stands behind a sample in the list."""
    return behind([issue.sample.fingerprint for issue in _issues(call, task)], fingerprint)


def _move_on(call: Call, task: str, following: Sequence[str], event: LabelEvent | None = None) -> Response:
    """Show what comes next: the first that stood behind the sample that was decided, else the first of all."""
    left = {issue.sample.fingerprint for issue in _issues(call, task)}
    after = next((each for each in following if each in left), "")
    if not call.by_script:
        return RedirectResponse(_address(task, after), 303)
    return _page(call, task, after, event)


def _page(call: Call, task: str, at: str, event: LabelEvent | None = None, undone: bool = False) -> Response:
    site, index = call.site, call.site.indexes[task]
    problem, issues = "", []
    try:
        issues = _issues(call, task)
    except KdslError as error:
        problem = error.in_commands()
    places = {issue.sample.fingerprint: place for place, issue in enumerate(issues)}
    place = places.get(at, 0)
    issue = issues[place] if issues else None
    evidence = [] if issue is None else [each for hit in issue.rules for each in hit.evidence]
    shown = None
    if issue is not None:
        shown = show_sample(0, issue.sample, site.sidecars, site.media, evidence, call.visitor.language)
    first = max(min(place - SHOWN // 2, len(issues) - SHOWN), 0)
    answer = call.render(
        "labels.html", task=task, problem=problem, issues=issues, issue=issue, place=place, first=first, most=SHOWN,
        shown=shown, names=index.task.label_names, event=event, undone=undone, address=_address,
    )  # fmt: skip
    if call.by_script and call.request.method == "POST":
        answer.headers["HX-Push-Url"] = _address(task, at if at in places else "")
    return answer


def _address(task: str, at: str) -> str:
    return f"/t/{quote(task, safe='')}/labels" + (f"?at={at}" if at else "")
