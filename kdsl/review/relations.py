"""How a rule relates to the others of its task: the samples that they share, and which of them is superfluous."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kdsl.bitmaps import count
from kdsl.review.store import StoredRule
from kdsl.review.task_index import Overview
from kdsl.review.twins import follows
from kdsl.rules.implication import merged_conditions, says_more

MOST_RELATIONS = 8
Relation = Literal["same", "special", "general", ""]


@dataclass(frozen=True)
class Neighbour:
    """Another rule that hits some of the same samples."""

    stored: StoredRule
    shared: int
    """Samples that both rules hit."""
    hits: int
    rival: bool
    """Whether its label is another one."""
    conflict: bool
    """Whether it is a rival and both rules speak: neither is rejected or disabled."""
    relation: Relation
    """By its conditions: it is `special` where it hits only where this rule does, whatever the samples; `general` the
    other way round; `same` both. As for lint only a general rule that speaks makes a special one superfluous, and none
    that is known to be the more reliable one: the relation is empty then."""
    mergeable: bool
    """Whether one rule can say what both say; not offered for one that is rejected or disabled."""


def neighbours(overview: Overview, rule: int) -> list[Neighbour]:
    """The rules that share most with the one at position `rule`, those for other labels first among equals."""
    own = overview.bits[rule]
    shared = count(overview.bits & own[None, :])
    shared[rule] = 0
    rivals = overview.labels != overview.labels[rule]
    score = shared * 2.0 + rivals + overview.active
    best = [int(i) for i in np.argsort(-score, kind="stable")[: 3 * MOST_RELATIONS] if shared[i]]
    stored = overview.rules[rule]
    found = []
    for i in best:
        other = overview.rules[i]
        within = shared[i] in (overview.hits[i], overview.hits[rule])
        relation = _relation(overview, rule, i) if within and not rivals[i] else ""
        rival, speaks = bool(rivals[i]), bool(overview.active[i])
        mergeable = speaks and not rival and merged_conditions(stored.rule, other.rule) is not None
        conflict = rival and speaks and bool(overview.active[rule])
        found.append(
            Neighbour(other, int(shared[i]), int(overview.hits[i]), rival, conflict, relation, mergeable)
        )  # fmt: skip
    found.sort(key=lambda each: (not each.relation, not each.mergeable, not each.rival))
    return found[:MOST_RELATIONS]


def _relation(overview: Overview, rule: int, other: int) -> Relation:
    own, others = overview.rules[rule].rule, overview.rules[other].rule
    special, general = follows(others, own), follows(own, others)
    if special and general:
        return "same"
    if special and _superfluous(overview, other, rule):
        return "special"
    return "general" if general and _superfluous(overview, rule, other) else ""


def _superfluous(overview: Overview, special: int, general: int) -> bool:
    one, two = (
        None if known is None else known.reliability
        for known in (overview.statistics[special], overview.statistics[general])
    )
    return bool(overview.active[general]) and not says_more(one, two)
