"""Routes of the page on which people label samples: one group after the other, the one that helps most first."""

from collections.abc import Sequence
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from kdsl.data.label_log import LabelEvent
from kdsl.errors import KdslError
from kdsl.label_matrix import require_one_label
from kdsl.review.form import Sent
from kdsl.review.giving import behind, label_in, take_back
from kdsl.review.labelling import Group
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.queue import Query, ordered
from kdsl.review.sample_view import show_sample
from kdsl.sample import Sample

_HERE = "giving labels on the page"
LIKELY = 9
"""Labels with a number key."""

router = APIRouter(prefix="/t/{task}/label")


@router.get("")
def label_page(call: Asked, task: KnownTask, at: str = "") -> Response:
    return _page(call, task, at)


@router.post("/give")
def give(call: Asked, task: KnownTask, form: Sent) -> Response:
    """The label `label` for the sample `sample` and those that are ticked, `with-…`, which nobody has labelled yet."""
    require_one_label([call.site.tasks[task]], _HERE)
    label = label_in(call, task, form)
    chosen = [_sample(call, task, name) for name in dict.fromkeys([form["sample"], *form.all("with-")])]
    following = _following(call, task, form["sample"])
    log, by = call.site.labels.log, call.site.reviewer
    first = log.give(chosen[0], label, by)
    for sample in chosen[1:]:
        log.give(sample, label, by, first.event)
    return _move_on(call, task, following, first, len(chosen))


@router.post("/skip")
def skip(call: Asked, task: KnownTask, form: Sent) -> Response:
    following = _following(call, task, _sample(call, task, form["sample"]).fingerprint)
    call.site.labelling.skip(task, form["sample"])
    return _move_on(call, task, following)


@router.post("/undo")
def undo(call: Asked, task: KnownTask) -> Response:
    """Take back the last labels that the reviewer gave together, and show their group."""
    event, of = take_back(call, task)
    return _page(call, of, event.fingerprint, event, undone=True)


def _sample(call: Call, task: str, fingerprint: str) -> Sample:
    """An unlabelled sample; KdslError where there is none, or somebody has labelled it since."""
    given = call.site.labels.log.given()
    for sample in call.site.indexes[task].unlabelled.samples:
        if sample.fingerprint == fingerprint:
            if (known := given.of(sample)) is not None:
                raise KdslError(
                    f"{sample.id!r} was given the label {known.label!r} since you opened it, so nothing was saved; "
                    "look at the next one"
                )
            return sample
    raise KdslError(f"{task} has no such unlabelled sample any more, so nothing was saved; look at the next one")


def _following(call: Call, task: str, name: str) -> Sequence[str]:
    """The groups that stand behind one."""
    return behind([group.name for group in call.site.labelling.groups(call.site, task)], name)


def _move_on(
    call: Call, task: str, following: Sequence[str], event: LabelEvent | None = None, together: int = 1
) -> Response:
    """Show the best group by now; where one was chosen out of order, the first that stood behind it."""
    groups = [group.name for group in call.site.labelling.groups(call.site, task)]
    after = next((name for name in following if name in groups), "")
    if not call.by_script:
        return RedirectResponse(_address(task, after), 303)
    return _page(call, task, after, event, together)


def _page(
    call: Call, task: str, at: str, event: LabelEvent | None = None, together: int = 1, undone: bool = False
) -> Response:
    site, index = call.site, call.site.indexes[task]
    require_one_label([index.task], _HERE)
    groups = site.labelling.groups(site, task)
    places = {group.name: place for place, group in enumerate(groups)}
    place = places.get(at, 0)
    group = groups[place] if groups else None
    shown = [] if group is None else [
        show_sample(i, sample, site.sidecars, site.media, (), call.visitor.language)
        for i, sample in enumerate(group.samples)
    ]  # fmt: skip
    answer = call.render(
        "label.html", task=task, groups=groups, group=group, place=place, shown=shown, event=event,
        together=together, undone=undone, names=index.task.label_names, address=_address,
        likely=[] if group is None else _likely(group, index.task.label_names),
        asking=index.opinions is None and not index.no_predictions and len(index.unlabelled.samples) > 0,
        unlabelled=len(index.unlabelled.samples), rule=_better_rule(call, task, group),
    )  # fmt: skip
    if call.by_script and call.request.method == "POST":
        answer.headers["HX-Push-Url"] = _address(task, at if at in places else "")
    return answer


def _likely(group: Group, names: tuple[str, ...]) -> list[tuple[str, float]]:
    """The labels that the model finds likeliest, with their probabilities."""
    best = (-group.probabilities).argsort(kind="stable")[:LIKELY].tolist()
    return [(names[label], float(group.probabilities[label])) for label in best]


def _better_rule(call: Call, task: str, group: Group | None) -> tuple[str, float] | None:
    """The id and value of the open rule that is worth most, where it is worth more than the group."""
    overview, query = call.site.overview(task), Query()
    order = ordered(overview, query, call.site.skipped(), ())
    if not order or (group is not None and overview.value[order[0]] <= group.value):
        return None
    return overview.rules[order[0]].rule.id, float(overview.value[order[0]])


def _address(task: str, at: str) -> str:
    return f"/t/{quote(task, safe='')}/label" + (f"?at={at}" if at else "")
