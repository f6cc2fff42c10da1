"""The values that the page of one rule shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Indices, count, members
from kdsl.review.decisions import written
from kdsl.review.effect import Effect
from kdsl.review.journal import Event
from kdsl.review.page import translate
from kdsl.review.queue import Query
from kdsl.review.relations import neighbours
from kdsl.review.sample_view import ShownSample, show_sample
from kdsl.review.site import Site
from kdsl.review.store import StoredRule
from kdsl.review.task_index import Hits
from kdsl.rules.compare import Difference, compare
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule_file import parse_rule
from kdsl.rules.wording import Language, condition_words
from kdsl.sample import NO_LABEL_HOLDS, Sample

ModelWord = tuple[str, float, tuple[str, ...]]
"""What the model says about a sample in words, its probability, and the labels."""
FEW = 6
"""Hits of either kind that a page begins with."""


@dataclass(frozen=True)
class Place:
    """Where a rule stands in the queue; rules around it by id."""

    number: int
    total: int
    before: str | None
    after: str | None


def place_in_queue(site: Site, task: str, query: Query, id: str) -> Place:
    """A rule that the filters leave out is followed by the first that they let pass."""
    queue = site.queue(task, query)
    if id not in queue:
        return Place(0, len(queue), None, queue[0] if queue else None)
    at = queue.index(id)
    behind = queue[at + 1 :]
    return Place(at + 1, len(queue), queue[at - 1] if at else None, behind[0] if behind else None)


def following(site: Site, task: str, query: Query, id: str) -> list[str]:
    """The rules behind one in the queue; all where the filters leave it out."""
    queue = site.queue(task, query)
    return queue[queue.index(id) + 1 :] if id in queue else queue


def rule_values(site: Site, stored: StoredRule, language: Language) -> dict[str, Any]:
    """The values of the template rule.html that are about the rule itself."""
    task, rule = stored.task, stored.rule
    overview, index = site.overview(task), site.indexes[task]
    at = overview.position[rule.id]
    looked_at = members(overview.bits[at])
    truth = int(overview.labels[at])
    known = index.known(*rule.conditions)
    right, wrong = labelled_hits(known, stored, truth)
    predictions = index.predictions
    others = unlabelled_rows(site, task, at)
    opinions = None if index.opinions is None else index.opinions.says(truth)[others]
    return {
        "task": task,
        "stored": stored,
        "rule": rule,
        "entry": overview.statistics[at],
        "hits": len(right) + len(wrong),
        "correct": len(right),
        "samples": len(known.samples),
        "looked_at": len(index.samples),
        "positives": int(known.having(truth).sum()),
        "wrong": hits_of(site, task, known, rule.conditions, wrong[:FEW], language),
        "wrong_total": len(wrong),
        "right": hits_of(site, task, known, rule.conditions, right[:FEW], language),
        "right_total": len(right),
        "unlabelled": hits_of(site, task, index.unlabelled, rule.conditions, others[:FEW], language),
        "unlabelled_total": len(others),
        "unlabelled_samples": len(index.unlabelled.samples),
        "opposed": None if opinions is None else int((~opinions).sum()),
        "best": overview.rules[overview.best[at]],
        "copies": [overview.rules[i] for i in overview.copies(at)],
        "agree": None if predictions is None else int(predictions.says(truth)[looked_at].sum()),
        "disagree": None if predictions is None else int(predictions.denies(truth)[looked_at].sum()),
        "no_predictions": index.no_predictions,
        "neighbours": neighbours(overview, at),
        "tests": _tests(site, stored),
        "history": [_shown_event(event, rule.id, language) for event in reversed(site.store.history(rule.id))],
    }


def unlabelled_rows(site: Site, task: str, rule: int) -> NDArray[np.int64]:
    """The unlabelled samples that the rule at that position hits, those first that tell most about it.

    First where the model says another label, the surest first; then the others, the least sure first.
    """
    overview, index = site.overview(task), site.indexes[task]
    rows = members(overview.unlabelled[rule])
    if index.opinions is None:
        return rows
    label = int(overview.labels[rule])
    agrees = index.opinions.says(label)[rows]
    believed = index.opinions.probabilities[rows]
    if index.task.multi:
        sure = np.maximum(believed[:, label], 1 - believed[:, label])
    else:
        sure = believed.max(axis=1, initial=0.0)
    return rows[np.lexsort((np.where(agrees, sure, -sure), agrees))]


def labelled_hits(known: Hits, stored: StoredRule, label: int) -> tuple[Indices, Indices]:
    """The samples that a rule hits rightly, and wrongly, as it is for the label with that index."""
    rows = members(known.bits(stored))
    right = known.having(label)[rows]
    return rows[right], rows[~right]


def effect_values(site: Site, stored: StoredRule) -> dict[str, Any]:
    """The values of the template effect.html: which decisions change with the rule."""
    overview, index = site.overview(stored.task), site.indexes[stored.task]
    arbiter, _ = site.arbiters[stored.task]
    effect = None
    if arbiter is not None and index.predictions is not None:
        effect = arbiter.effect(index, overview, overview.position[stored.rule.id], index.predictions)
    hits = int(count(overview.unlabelled[overview.position[stored.rule.id]]))
    return {**_decision_values(site, stored.task, effect), "teaches": hits, "stored": stored}


def edit_values(
    site: Site, task: str, conditions: Sequence[Condition], label: str, saved: StoredRule | None
) -> dict[str, Any]:
    """The same for an edit that is not saved: which decisions change when it is, and is accepted."""
    overview, index = site.overview(task), site.indexes[task]
    arbiter, _ = site.arbiters[task]
    effect = None
    if arbiter is not None and index.predictions is not None:
        rule = written("", task, label, conditions)
        at = None if saved is None else overview.position[saved.rule.id]
        effect = arbiter.edited(index, overview, at, rule, index.flags(conditions), index.predictions)
    return _decision_values(site, task, effect)


def _decision_values(site: Site, task: str, effect: Effect | None) -> dict[str, Any]:
    index, (arbiter, why) = site.indexes[task], site.arbiters[task]
    return {
        "task": task,
        "effect": effect,
        "no_arbiter": why,
        "no_predictions": index.no_predictions if index.predictions is None else "",
        "rules_count": arbiter is not None and arbiter.rules_count,
        "proposed_count": arbiter is None or arbiter.proposed_count,
        "labels": index.task.label_names,
        "samples": index.samples,
    }


def hits_of(
    site: Site, task: str, among: Hits, conditions: Sequence[Condition], rows: Iterable[int], language: Language
) -> list[Any]:
    """The samples at positions `rows`, with the evidence of a rule with these conditions, and what the model says.

    These are labelled samples of the task, or unlabelled ones.
    """
    engine = Engine([written("", task, "", conditions)] if conditions else [])
    positions = list(map(int, rows))
    table = among.rows(positions)
    shown = []
    for position, row, hits in zip(positions, table.rows, engine.hits(table), strict=True):
        evidence = [each for hit in hits for each in hit.evidence]
        site.media.add(row.sample)
        sample = show_sample(position, row.sample, site.sidecars, site.media, evidence, language)
        shown.append((sample, model_word(site, task, among, position, row.sample)))
    return shown


def model_word(site: Site, task: str, among: Hits, position: int, sample: Sample) -> ModelWord | None:
    """What the model says about a sample; of those on disk it is known of the ones that are looked at."""
    index = site.indexes[task]
    unlabelled = among is index.unlabelled
    at = position if unlabelled or among is index.training else index.sample_position.get(sample.id)
    return None if at is None else model_label(site, task, at, unlabelled)


def model_label(site: Site, task: str, row: int, unlabelled: bool = False) -> ModelWord | None:
    """What the model says about a training sample, or an unlabelled one; None where that is not known."""
    predictions = site.indexes[task].opinions if unlabelled else site.indexes[task].predictions
    if predictions is None or not predictions.known[row]:
        return None
    names, believed = site.tasks[task].label_names, predictions.probabilities[row]
    best = float(believed.max())
    if not predictions.multi:
        label = names[int(believed.argmax())]
        return label, best, (label,)
    held = tuple(names[i] for i in np.flatnonzero(believed >= 0.5).tolist())
    return " + ".join(held) or NO_LABEL_HOLDS, float(believed[believed >= 0.5].min()) if held else 1 - best, held


def shown_samples(
    site: Site, task: str, rows: Sequence[int], language: Language
) -> list[ShownSample]:  # fmt: skip
    """Training samples as they are."""
    samples = site.indexes[task].samples
    return [show_sample(row, samples[row], site.sidecars, site.media, (), language) for row in rows]


def _tests(site: Site, stored: StoredRule) -> list[tuple[str, bool, bool | None]]:
    """(sample, whether it must be hit, whether that is so) of each test; None for a sample that there is not."""
    index = site.indexes[stored.task]
    entries = [(id, True) for id in stored.rule.tests.hit] + [(id, False) for id in stored.rule.tests.miss]
    found = [(id, expected, index.hit(stored, id)) for id, expected in entries]
    return [(id, expected, None if hit is None else hit is expected) for id, expected, hit in found]


def _shown_event(event: Event, id: str, language: Language) -> tuple[Event, tuple[str, ...]]:
    """The event, and what it changed about the rule, in words."""
    details: tuple[str, ...] = ()
    for file in event.changes:
        if not file.file.endswith(f"{id}.yaml"):
            continue
        old, new = ([] if text is None else [parse_rule(Path(file.file), text)] for text in (file.before, file.after))
        for change in compare(old, new):
            details += tuple(_difference_words(each, language) for each in change.details)
            details += () if change.details else (translate(change.kind, language),)
    return event, details


def _difference_words(difference: Difference, language: Language) -> str:
    """`proposed → accepted`, `- user turns contain 退`, in the language of the page."""
    before, after = (
        condition_words(each, language) if isinstance(each, Condition) else each or ""
        for each in (difference.before, difference.after)
    )
    if difference.what == "condition":
        return f"- {before}" if before else f"+ {after}"
    if difference.what == "status":
        return f"{translate(before, language)} → {translate(after, language)}"
    return f"{translate('Label', language)}: {before} → {after}"
