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
from kdsl.review.rule_page import model_label, model_word, shown_samples
from kdsl.review.sample_view import show_sample
from kdsl.review.task_index import Hits
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
    known, position = _found(call, task, id)
    speaking = overview.active
    if known is not index.everything:  # of samples on disk no bits of all rules are at hand
        bits = overview.unlabelled if known is index.unlabelled else overview.bits
        speaking = speaking & contains(bits, position)
    rules = [overview.rules[int(i)] for i in np.flatnonzero(speaking)]
    table = known.rows([position])
    [hits] = Engine([stored.rule for stored in rules]).hits(table)
    hitting = {each.rule.id for each in hits}
    evidence = [each for hit in hits for each in hit.evidence if each.span is not None or each.region is not None]
    found = table.rows[0].sample
    call.site.media.add(found)
    return call.render(
        "sample.html", task=task, hitting=[stored for stored in rules if stored.rule.id in hitting],
        sample=show_sample(position, found, call.site.sidecars, call.site.media, evidence, call.visitor.language),
        alike=known is index.training, word=model_word(call.site, task, known, position, found),
        feedback=call.site.feedback.of(found), answer_words=answer_words,
    )  # fmt: skip


@router.get("/alike")
def alike(call: Asked, task: KnownTask, id: str = "") -> Response:
    """The samples like that one: a part of its page, which takes a moment when it is first asked for."""
    index, position = call.site.indexes[task], _position(call, task, id)
    return call.render("alike.html", task=task, sample=index.samples[position], alike=index.likeness.to(position))


def _position(call: Call, task: str, id: str) -> int:
    """Of a sample among those of the task that are looked at."""
    position = call.site.indexes[task].sample_position.get(id)
    if position is None:
        raise _unknown(task, id)
    return position


def _found(call: Call, task: str, id: str) -> tuple[Hits, int]:
    """Where the sample with that id stands: among those looked at, the unlabelled ones, or all labelled ones."""
    index = call.site.indexes[task]
    for known in (index.training, index.unlabelled, index.everything):
        position = None if known is None else known.place(id)
        if known is not None and position is not None:
            return known, position
    raise _unknown(task, id)


def _unknown(task: str, id: str) -> KdslError:
    return KdslError(f"{task} has no sample {id[:60]!r}; it may have been taken out of the data since")


def _label(text: str | None) -> int | None:
    """The position of a label in an address, -1 for none of them; None where there is no number."""
    return -1 if text == "-1" else whole_number(text or "")
