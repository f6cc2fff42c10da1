"""Conditions that the small model named inside a search become part of the task's vocabulary, once all searches are
done: until then each search has its own, so that no search sees what another one was told."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kdsl.fields.table import FieldTable
from kdsl.mining.problem import FoundRule, MiningProblem, jobs
from kdsl.mining.proposer import described
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import Matcher

Found = dict[tuple[int, int], list[FoundRule]]
"""(fold, label) → the rules of that search."""


def with_named(
    problem: MiningProblem, found: Mapping[tuple[int, int], list[FoundRule]], table: FieldTable
) -> tuple[MiningProblem, Found]:
    """The problem over a vocabulary that has every condition named, and the rules with their indices there."""
    n_before = len(problem.vocabulary)
    named: dict[Condition, int] = {}
    for job in jobs(problem):
        for rule in found[job]:
            for condition in rule.named:
                named.setdefault(condition, n_before + len(named))
    if not named:
        return problem, dict(found)

    def settled(rule: FoundRule) -> FoundRule:
        index = [*range(n_before), *(named[condition] for condition in rule.named)]
        return replace(rule, conditions=tuple(tuple(index[i] for i in part) for part in rule.conditions), named=())

    return _extended(problem, list(named), table), {
        job: [settled(rule) for rule in rules] for job, rules in found.items()
    }


def _extended(problem: MiningProblem, named: list[Condition], table: FieldTable) -> MiningProblem:
    before = problem.vocabulary
    bits = np.stack([np.bitwise_or.reduce(Matcher(c.terms).bitmaps(table.texts(c.field)), axis=0) for c in named])
    more = Vocabulary(tuple(named), bits, before.n_samples)
    return replace(
        problem,
        vocabulary=before.with_more(named, bits),
        prior=np.pad(problem.prior, ((0, 0), (0, 0), (0, len(named)))),  # a search that did not name it has no use
        described=np.concatenate([problem.described, described(problem.task, more)], axis=1),
    )
