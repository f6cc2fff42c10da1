"""Merging what mining found into a task's rule base, and measuring every rule in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import (
    Archive,
    archive_of,
    as_mined,
    candidate_rules,
    counted_beyond,
    held_out_counts,
    mined_rules,
    rule_statistics,
    share_with_beyond,
    shown_of,
    with_beyond,
)
from kdsl.mining.beyond import Beyond
from kdsl.mining.miner import Mined
from kdsl.mining.problem import ALL_SAMPLES
from kdsl.mining.proposer import Validator
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import ACTIVE, MineReport, RuleBase
from kdsl.rules.statistics import RuleStatistics, StatisticsByRule, statistics_path, write_statistics

Synonyms = Callable[[Sequence[Rule]], list[tuple[str, ...]]]
"""For each rule other ways to say its terms that no training sample holds."""
Counting = Callable[[Sequence[Rule]], Beyond]
"""Counts rules on the samples that were not searched."""


@dataclass(frozen=True)
class MinedRules:
    """What mining leaves for the arbiter to be fitted on, in memory or read from a project's files."""

    rules: tuple[Rule, ...]
    """Of every status: what people ruled out has a say in what counts out of fold."""
    statistics: StatisticsByRule
    archive: Archive


def with_decisions(
    mined: Mined, sample_ids: Sequence[str], decided: Sequence[Rule], seed: int, counting: Counting | None = None
) -> MinedRules:
    """The rules that were mined, as people decided about them, and the rules that people wrote or edited.

    For mining in memory; a rule base on disk is brought up to date by `update_rule_base`. `decided` are rules that
    people wrote, edited, accepted or ruled out. Where these saw other samples than `mined` was given, as in
    cross-validation, a decision counts for a rule that was found again: that mining once found it on all samples, with
    those that are held out now, must not help it here (see `kdsl.arbiter.fit.fold_rules`). `counting` counts rules
    where some samples were not searched.
    """
    beyond = None if counting is None else counting(candidate_rules(mined, "", seed))
    found, statistics = mined_rules(mined, "", seed, beyond)
    known = {(rule.label, rule.when_hash): rule for rule in decided}
    edited = {rule.id for rule in decided}
    rules: dict[tuple[str, str], Rule] = {}
    kept: StatisticsByRule = {}
    for rule, entry in zip(found, statistics, strict=True):
        key = rule.label, rule.when_hash
        if key not in known and rule.id in edited:  # somebody edited this rule: the edit stands for it
            continue
        rules[key] = known.get(key, rule)
        kept[rules[key].id, entry.when] = entry.model_copy(update={"id": rules[key].id})
    task = mined.problem.task.name
    for key, rule in known.items():
        if key not in rules and (not as_mined(task, rule) or rule.status not in ACTIVE):
            rules[key] = rule
    ordered = sorted(rules.values(), key=lambda rule: (rule.label, rule.id))  # as `RuleBase.rules` has them
    return MinedRules(tuple(ordered), kept, archive_of(mined, sample_ids, 0 if beyond is None else beyond.samples))


def update_rule_base(
    base: RuleBase,
    mined: Mined,
    table: FieldTable,
    run: str,
    seed: int,
    validator: Validator | None = None,
    synonyms: Synonyms | None = None,
    beyond: Beyond | None = None,
) -> MineReport:
    """Write the accepted rules into `base` (see `RuleBase.update_mined`) and the statistics of all its rules.

    `table` holds the samples mined on. Rules that people wrote, edited or decided about are measured on them too,
    their reliability estimated by the map that mining fitted, and judged by the `validator`. `synonyms` are noted for
    reviewers. `beyond` are the counts of `candidate_rules` and of the base's own on samples that were not searched, if
    there are any. Nothing is written when nothing has changed.
    """
    before = _statistics(base)
    rules, statistics = mined_rules(mined, run, seed, beyond)
    report = base.update_mined(rules)
    by_conditions = {(rule.label, rule.when_hash): entry for rule, entry in zip(rules, statistics, strict=True)}
    entries: list[RuleStatistics] = []
    others: list[Rule] = []
    for rule in base.rules:
        entry = by_conditions.get((rule.label, rule.when_hash))
        if entry is None:
            others.append(rule)
        else:  # a person's rule with the same conditions may have another id
            entries.append(entry.model_copy(update={"id": rule.id}))
    entries += _measured(others, mined, table, before, validator, beyond)
    if synonyms is not None:
        said = dict(zip([rule.id for rule in base.rules], synonyms(base.rules), strict=True))
        entries = [entry.model_copy(update={"synonyms": said[entry.id]}) for entry in entries]
    if {(entry.id, entry.when): entry for entry in entries} != before:
        write_statistics(statistics_path(base.folder, base.task), entries)
    return report


def _statistics(base: RuleBase) -> StatisticsByRule:
    """None where the file is damaged: it is written again."""
    try:
        return base.statistics()
    except KdslError:
        return {}


def _measured(
    rules: Sequence[Rule],
    mined: Mined,
    table: FieldTable,
    before: StatisticsByRule,
    validator: Validator | None,
    beyond: Beyond | None,
) -> list[RuleStatistics]:
    """Statistics of rules that this run did not find, or did not accept."""
    problem = mined.problem
    labels: NDArray[np.int64] = problem.labels
    engine = Engine(rules)
    hits = engine.matrix(table)
    shown = [shown_of(rule, hits[:, index], labels, problem.task) for index, rule in enumerate(rules)]
    # Of rules for labels that the task does not have there is nothing to judge.
    names = problem.task.label_names
    label_of = {index: names.index(rule.label) for index, rule in enumerate(rules) if rule.label in names}
    if mined.opinion is not None:
        unlabelled = engine.bitmaps(mined.opinion.table)
        for index, label in label_of.items():
            expected = mined.opinion.mean(ALL_SAMPLES, label, unlabelled[index])
            shown[index] = replace(shown[index], expected=expected)
    if validator is not None:
        asked = [(label, rules[index].conditions) for index, label in label_of.items()]
        senses = validator.judge(problem.task, asked)
        for index, sense in zip(label_of, senses, strict=True):
            shown[index] = replace(shown[index], sense=sense)
    reliability = mined.reliability.estimate(shown).tolist()
    held_out = held_out_counts(mined)
    entries = []
    for rule, counts, estimate in zip(rules, shown, reliability, strict=True):
        known = before.get((rule.id, rule.when_hash))
        key = rule.label, rule.when_hash
        share = share_with_beyond(counts.positives / len(labels), len(labels), rule.label, beyond)
        # A rule that hits nothing, or whose label the task does not have, gives the map nothing to go by.
        known_hits = counts.hits > 0 and counts.positives > 0
        if not known_hits and beyond is not None and share > 0 and beyond.counts[key][0]:
            estimate, known_hits = share, True  # what it hits beyond the samples searched speaks for itself
        entry = rule_statistics(
            rule,
            counts,
            with_beyond(estimate, counts, len(labels), key, beyond) if known_hits else None,
            share,
            len(labels),
            known.candidates if known is not None else 0,
        )
        entries.append(counted_beyond(entry.model_copy(update={"held_out": held_out.get(key)}), key, beyond))
    return entries
