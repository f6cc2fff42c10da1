"""Routes of the pages about samples: what the rules leave open, lists of samples, and one sample."""

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from kdsl.bitmaps import contains
from kdsl.data.feedback import answer_words
from kdsl.errors import KdslError
from kdsl.review.form import whole_number
from kdsl.review.gaps import KINDS, against_model, find_gaps, rows_of
from kdsl.review.page import Asked, Call, KnownTask
from kdsl.review.rule_page import model_label, shown_samples
from kdsl.review.sample_view import show_sample
from kdsl.rules.engine import Engine

SAMPLES_ON_A_PAGE = 20

router = APIRouter(prefix="/t/{task}")


@router.get("/gaps")
def gaps(call: Asked, task: KnownTask) -> Response:
    index, overview = call.site.indexes[task], call.site.overview(task)
    found = find_gaps(index, overview)
    against = int(against_model(index, found).sum())
    return call.render(
        "gaps.html", task=task, multi=index.task.multi, gaps=found, labels=index.task.label_names,
        samples=len(index.samples),
        uncovered=int((found.said < 0).sum()), contradicting=int(found.contradiction.sum()),
        against=None if index.predictions is None else against, most=max(int(found.table.max(initial=0)), 1),
    )  # fmt: skip


@router.get("/samples")
def samples(call: Asked, task: KnownTask) -> Response:
    index = call.site.indexes[task]
    values = call.request.query_params
    kind = values.get("kind", "cell")
    if kind not in KINDS:
        raise KdslError(f"{kind[:60]!r} is none of {', '.join(KINDS)}")
    gaps = find_gaps(index, call.site.overview(task))
    truth, said = _label(values.get("truth")), _label(values.get("said"))
    rows = rows_of(index, gaps, kind, truth, said)
    first = whole_number(values.get("from", "")) or 0
    shown = rows[first : first + SAMPLES_ON_A_PAGE].tolist()
    language = call.visitor.language
    return call.render(
        "samples.html", task=task, kind=kind, truth=truth, said=said, total=len(rows), first=first,
        page=SAMPLES_ON_A_PAGE, labels=index.task.label_names,
        shown=[
            (sample, model_label(call.site, task, sample.position), int(gaps.said[sample.position]))
            for sample in shown_samples(call.site, task, shown, language)
        ],
    )  # fmt: skip


@router.get("/sample")
def sample(call: Asked, task: KnownTask, id: str = "") -> Response:
    index, overview = call.site.indexes[task], call.site.overview(task)
    if not any(id in found.position for found in (index.training, index.unlabelled)) and index.everything is not None:
        return _stored_sample(call, task, id)
    unlabelled = id not in index.training.position and id in index.unlabelled.position
    found = index.unlabelled if unlabelled else index.training
    position = found.position[id] if unlabelled else _position(call, task, id)
    bits = contains(overview.unlabelled if unlabelled else overview.bits, position)
    hitting = [overview.rules[int(i)] for i in np.flatnonzero(bits & overview.active)]
    [hits] = Engine([stored.rule for stored in hitting]).hits(found.table.select([position]))
    evidence = [each for hit in hits for each in hit.evidence if each.span is not None or each.region is not None]
    language = call.visitor.language
    shown = show_sample(
        position, found.samples[position], call.site.sidecars, call.site.media, evidence, language
    )  # fmt: skip
    return call.render(
        "sample.html", task=task, sample=shown, hitting=hitting, alike=not unlabelled,
        word=model_label(call.site, task, position, unlabelled),
        feedback=call.site.feedback.of(found.samples[position]), answer_words=answer_words,
    )  # fmt: skip


def _stored_sample(call: Call, task: str, id: str) -> Response:
    """A labelled sample that is not among those looked at."""
    overview, everything = call.site.overview(task), call.site.indexes[task].everything
    at = None if everything is None else everything.place(id)
    if everything is None or at is None:
        raise _unknown(task, id)
    active = [stored for stored, speaks in zip(overview.rules, overview.active, strict=True) if speaks]
    table = everything.rows([at])
    [hits] = Engine([stored.rule for stored in active]).hits(table)
    hitting = {each.rule.id for each in hits}
    evidence = [each for hit in hits for each in hit.evidence if each.span is not None or each.region is not None]
    sample = table.rows[0].sample
    call.site.media.add(sample)
    return call.render(
        "sample.html", task=task, hitting=[stored for stored in active if stored.rule.id in hitting], word=None,
        sample=show_sample(at, sample, call.site.sidecars, call.site.media, evidence, call.visitor.language),
        alike=False, feedback=call.site.feedback.of(sample), answer_words=answer_words,
    )  # fmt: skip


@router.get("/alike")
def alike(call: Asked, task: KnownTask, id: str = "") -> Response:
    """The samples like that one: a part of its page, which takes a moment when it is first asked for."""
    index, position = call.site.indexes[task], _position(call, task, id)
    return call.render("alike.html", task=task, sample=index.samples[position], alike=index.likeness.to(position))


def _position(call: Call, task: str, id: str) -> int:
    """Of a sample among those of the task."""
    position = call.site.indexes[task].sample_position.get(id)
    if position is None:
        raise _unknown(task, id)
    return position


def _unknown(task: str, id: str) -> KdslError:
    return KdslError(f"{task} has no sample {id[:60]!r}; it may have been taken out of the data since")


def _label(text: str | None) -> int | None:
    """The position of a label in an address, -1 for none of them; None where there is no number."""
    return -1 if text == "-1" else whole_number(text or "")
