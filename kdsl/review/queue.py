"""The queue of rules to review: filters and order."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from kdsl.review.task_index import Overview
from kdsl.rules.statistics import wilson_interval
from kdsl.text import normalise

STATUSES = ("open", "proposed", "accepted", "rejected", "disabled", "all")
FLAGS = ("", "stale", "conflict", "never", "tests")
SORTS = ("value", "precision", "coverage", "disagreement")

SURE = 0.95
"""Rules above this reliability can be accepted all at once, by label."""


@dataclass(frozen=True)
class Query:
    """Filters and order; `open` are rules that are proposed or whose approval is stale."""

    status: str = "open"
    label: str = ""
    source: str = ""
    flag: str = ""
    text: str = ""
    sort: str = "value"

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Query":
        """From the address of a page; what is not known there is left at its default."""
        query = cls(label=values.get("label", ""), source=values.get("source", ""), text=values.get("text", "")[:200])
        for name, known in (("status", STATUSES), ("flag", FLAGS), ("sort", SORTS)):
            if values.get(name) in known:
                query = replace(query, **{name: values[name]})
        return query

    @property
    def address(self) -> str:
        """The part of an address that says this, without what is at its default."""
        default = asdict(Query())
        return urlencode({name: value for name, value in asdict(self).items() if value != default[name]})


def ordered(overview: Overview, query: Query, skipped: AbstractSet[str], failing: Collection[str]) -> list[int]:
    """Positions in `overview` of the rules that pass, in order, near copies right behind the best of them.

    What the person skipped comes last, with its copies.
    """
    wanted = normalise(query.text)
    passing = [
        i
        for i, stored in enumerate(overview.rules)
        if (not query.label or stored.rule.label == query.label)
        and (not query.source or stored.rule.provenance.source == query.source)
        and (not wanted or wanted in stored.search)
        and _has_status(query.status, stored.rule.status, stored.stale)
        and _has_flag(overview, i, query.flag, failing)
    ]
    keys = _keys(overview, query.sort)
    hits, best_of = overview.hits, overview.best.tolist()
    sorted_all = np.lexsort((-hits, -overview.precision, hits == 0, -keys)).tolist()
    late = {overview.position[id] for id in skipped if id in overview.position}
    chosen = set(passing)
    groups: dict[tuple[bool, int], list[int]] = {}
    for i in sorted_all:
        if i in chosen:
            groups.setdefault((i in late or best_of[i] in late, best_of[i]), []).append(i)
    found = [[best] * (best in group) + [i for i in group if i != best] for (_, best), group in groups.items()]
    late_last = sorted(zip(groups, found, strict=True), key=lambda each: each[0][0])
    return [i for _, group in late_last for i in group]


def sure_rules(overview: Overview, label: str) -> list[int]:
    """Positions of the open rules for a label whose reliability is above `SURE`, the best first."""
    found = [
        i
        for i, (stored, entry) in enumerate(zip(overview.rules, overview.statistics, strict=True))
        if stored.open and stored.rule.label == label and entry is not None and (entry.reliability or 0.0) > SURE
    ]
    return sorted(found, key=lambda i: (-overview.value[i], -overview.precision[i], i))


def lower_bounds(overview: Overview, chosen: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Lower end of the 95 % interval of the precision, held out where there are such hits, else in training.

    Of the rules at the positions `chosen`, else of all.
    """
    places = range(len(overview.rules)) if chosen is None else chosen
    bounds = np.zeros(len(places))
    for at, i in enumerate(places):
        entry = overview.statistics[i]
        if entry is not None and entry.held_out is not None and entry.held_out.hits:
            bounds[at] = wilson_interval(entry.held_out.correct, entry.held_out.hits)[0]
        elif overview.hits[i]:
            bounds[at] = wilson_interval(int(overview.correct[i]), int(overview.hits[i]))[0]
    return bounds


def figure(overview: Overview, i: int, sort: str, model_known: bool) -> str:
    """What the rule at position `i` is sorted by, n/a where that is not known; empty for coverage, which is shown."""
    hits = int(overview.hits[i])
    if sort == "value":
        return f"{overview.value[i]:.1f}" if hits else "n/a"
    if sort == "precision":
        bound = lower_bounds(overview, [i])[0]
        return f"{bound:.2f}" if bound or hits else "n/a"
    if sort == "disagreement":
        return f"{int(overview.disagree[i])}/{hits}" if hits and model_known else "n/a"
    return ""


def _keys(overview: Overview, sort: str) -> NDArray[np.float64]:
    if sort == "precision":
        return lower_bounds(overview)
    if sort == "coverage":
        return overview.hits.astype(np.float64)
    if sort == "disagreement":
        return overview.disagree / np.maximum(overview.hits, 1)
    return overview.value


def _has_status(wanted: str, status: str, stale: bool) -> bool:
    if wanted == "open":
        return status == "proposed" or stale
    return wanted in ("all", status)


def _has_flag(overview: Overview, i: int, flag: str, failing: Collection[str]) -> bool:
    if flag == "stale":
        return overview.rules[i].stale
    if flag == "conflict":
        return bool(overview.active[i] and overview.conflicts[i])
    if flag == "never":
        return overview.hits[i] == 0
    return flag != "tests" or overview.rules[i].rule.id in failing
