"""Fitting the arbiter of a task, on what model and rules say about samples that they were not made from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import Arbiter
from kdsl.arbiter.choice import choose_rules, judge_alone
from kdsl.arbiter.evidence import Flags, Floats, RuleEvidence, label_evidence, overlap, rule_labels
from kdsl.arbiter.shift import VOUCHED, Heard, mean_shift
from kdsl.arbiter.weighing import Measured, Standing, weights_of
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import Archive, ArchivedRule, accepts, as_mined, shown_of
from kdsl.mining.reliability import Reliability, Shown, log_odds
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import ACTIVE, DRAFT
from kdsl.rules.statistics import StatisticsByRule
from kdsl.sample import Task

_UNSEEN = Shown(hits=0, correct=0, positives=0, conditions=1, negations=0, further_terms=0, described=0.0)
"""What a rule shows where there are no samples."""
Labels = NDArray[np.int64]


def fit_arbiter(
    task: Task,
    table: FieldTable,
    labels: Labels,
    model: Floats,
    archive: Archive,
    rules: Sequence[Rule],
    statistics: StatisticsByRule,
    seed: int,
    answered: NDArray[np.bool_] | None = None,
) -> Arbiter:
    """The arbiter for `rules` (all of a rule base, those that people ruled out too) on the training samples.

    `model` [n_samples, n_labels] holds out-of-fold probabilities, of the samples that `answered` [n_samples] marks;
    None marks all. `archive` holds the rules mined without each fold. What people decided counts out of fold as well:
    see `fold_rules`. Raises KdslError when `archive` is about other samples.
    """
    used = np.ones(len(labels), dtype=bool) if answered is None else answered
    alone = judge_alone(model[used], labels[used], seed).pool
    tempered = alone.probabilities(model, RuleEvidence.none(*model.shape))
    evidence = out_of_fold_evidence(task, table, labels, tempered, used, archive, rules)
    choice = choose_rules(model[used], evidence.rows(used), labels[used], seed)
    active = [rule for rule in rules if rule.status in ACTIVE]
    hits = Engine(active).matrix(table)
    base_rates = np.bincount(labels, minlength=len(task.labels)) / len(labels)
    measured = measure(task, active, hits, labels, statistics, archive.reliability)
    of, people = rule_labels(task, active), _approved(active)
    heard = Heard.of(hits & used[:, None], of, tempered)
    precision = np.array([each.reviewed(rule.approved) for each, rule in zip(measured, active, strict=True)])
    mean = mean_shift(heard, precision, people)
    return Arbiter(
        task=task.name,
        labels=task.label_names,
        a=choice.both.pool.a,
        b_people=choice.both.pool.b_people,
        b_mined=choice.both.pool.b_mined,
        model_a=alone.a,
        samples=int(used.sum()),
        model=choice.alone.quality,
        both=choice.both.quality,
        base_rates=tuple(base_rates.tolist()),
        mean_people=mean,
        rules=Standing.of_all(measured, heard, base_rates[of], mean),
        overlaps=_overlaps(task, active, hits),
        left_out=tuple(sorted(table.sidecars.left_out)),
        other=task.other,
    )


def unfitted_arbiter(
    task: Task,
    unlabelled: FieldTable,
    rules: Sequence[Rule],
    statistics: StatisticsByRule,
    left_out: Collection[str] = (),
) -> Arbiter:
    """The arbiter for `rules` (active ones) of a task that has no labelled samples; unlabelled ones tell which rules
    overlap.

    Nobody has measured a rule here, so those count that people accepted: what an approval promises is what they add to
    a classifier that has learned nothing and gives every label the same. It knows nothing of what the rules say, so
    that these count in full: `b_people` is 1. `left_out` are the fields that nothing looks at.
    """
    base_rate = 1 / len(task.labels)
    measured = [
        Measured.of(task.name, rule, _UNSEEN, base_rate, statistics.get((rule.id, rule.when_hash))) for rule in rules
    ]
    mean = float(log_odds(VOUCHED) - log_odds(base_rate))
    nowhere = Heard(np.zeros(0), np.zeros(0, dtype=np.int64), len(rules))
    return Arbiter(
        task=task.name,
        labels=task.label_names,
        a=1.0,
        b_people=1.0,
        b_mined=0.0,
        model_a=1.0,
        samples=0,
        model=None,
        both=None,
        base_rates=(base_rate,) * len(task.labels),
        mean_people=mean,
        rules=Standing.of_all(measured, nowhere, np.full(len(rules), base_rate), mean),
        overlaps=_overlaps(task, rules, Engine(rules).matrix(unlabelled)),
        left_out=tuple(sorted(left_out)),
        other=task.other,
    )


def _overlaps(task: Task, rules: Sequence[Rule], hits: NDArray[np.bool_]) -> tuple[tuple[int, int, float], ...]:
    """`Arbiter.overlaps` of rules that hit what `hits` [n_samples, n_rules] says."""
    shared = np.triu(overlap(rule_labels(task, rules), hits), 1)
    return tuple((int(i), int(j), round(float(shared[i, j]), 4)) for i, j in np.argwhere(shared >= 0.00005))


def measure(
    task: Task,
    rules: Sequence[Rule],
    hits: Flags,
    labels: Labels,
    statistics: StatisticsByRule,
    reliability: Reliability,
) -> list[Measured]:
    """How often every rule is right, by its counts on all training samples: `hits` [n_samples, n_rules] on those."""
    shown = [shown_of(rule, hits[:, i], labels, task) for i, rule in enumerate(rules)]
    return [
        Measured.of(task.name, rule, counts, float(estimate), statistics.get((rule.id, rule.when_hash)))
        for rule, counts, estimate in zip(rules, shown, reliability.estimate(shown), strict=True)
    ]


def _approved(rules: Sequence[Rule]) -> Flags:
    return np.array([rule.approved for rule in rules], dtype=bool)


def out_of_fold_evidence(
    task: Task, table: FieldTable, labels: Labels, model: Floats, used: Flags, archive: Archive, rules: Sequence[Rule]
) -> RuleEvidence:
    """What the rules of each fold (see `fold_rules`) say about its samples.

    Weights and overlaps are measured on the other folds: `model` [n_samples, n_labels] are the out-of-fold
    probabilities of the samples that `used` [n_samples] marks. Raises KdslError when `archive` is about other samples.
    """
    folds = archive.folds_of([row.sample.id for row in table.rows])
    base_rates = np.bincount(labels, minlength=len(task.labels)) / len(labels)
    evidence = RuleEvidence.none(len(table), len(task.labels))
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        spoken = fold_rules(task, table, labels, archive, int(fold), rules, outside)
        of = rule_labels(task, spoken.rules)
        people = _approved(spoken.rules)
        heard = Heard.of(spoken.hits & (outside & used)[:, None], of, model)
        mean = mean_shift(heard, spoken.reliability, people)
        weights = weights_of(heard, spoken.reliability, base_rates[of], people, mean)
        between = overlap(of, spoken.hits[outside])
        said = label_evidence(spoken.hits[inside], of, weights, between, len(task.labels), people)
        evidence.people[inside], evidence.mined[inside] = said
    return evidence


@dataclass(frozen=True)
class FoldRules:
    """The rules that speak on a fold."""

    rules: list[Rule]
    reliability: Floats
    """[n_rules]"""
    hits: Flags
    """What they hit; not the samples of the fold that gave a rule its wording. [n_samples, n_rules]"""


def fold_rules(
    task: Task,
    table: FieldTable,
    labels: Labels,
    archive: Archive,
    fold: int,
    rules: Sequence[Rule],
    outside: Flags,
) -> FoldRules:
    """The rules that speak on `fold`, their reliability, and what they hit.

    These are the rules mined without the fold, less those that people ruled out under the same conditions, and the
    rules that people wrote, measured without the fold.
    """
    known = {(rule.label, rule.when_hash): rule for rule in rules}
    mined, archived = archive.held_out_rules(fold)
    estimates = archive.reliability.estimate([entry.shown for entry in archived])
    kept: list[tuple[Rule, ArchivedRule]] = []
    for rule, entry, estimate in zip(mined, archived, estimates, strict=True):
        decided = known.get((rule.label, rule.when_hash))
        # As for the rule base.
        enters = entry.listed and accepts(
            archive.reliability, entry.shown, float(estimate), archive.base_rates[rule.label], archive.least_precision
        )
        # That a rule is in the base because mining found it on all samples, the fold's too, must not help it here.
        if decided is None or decided.status == "proposed":
            if enters:
                kept.append((rule, entry))
        elif decided.status == "accepted":
            kept.append((decided, entry))
    found_before = {(rule.label, rule.when_hash) for rule, _ in kept}
    written = [
        rule
        for key, rule in known.items()
        if rule.status in ACTIVE
        and key not in found_before
        and not as_mined(task.name, rule)
        # A draft was refined on all samples, the fold's too: it speaks here once people vouch for it.
        and (rule.provenance.source != DRAFT or rule.approved)
    ]
    chosen = [rule for rule, _ in kept] + written
    hits = Engine(chosen).matrix(table)
    place = {row.sample.id: i for i, row in enumerate(table.rows)}
    for i, (_, entry) in enumerate(kept):
        hits[[place[sample] for sample in entry.gave], i] = False
    shown = [entry.shown for _, entry in kept]
    shown += [shown_of(rule, hits[outside, len(kept) + i], labels[outside], task) for i, rule in enumerate(written)]
    reliability = [
        Measured.of(task.name, rule, count, float(estimate)).reviewed(rule.approved)
        for rule, count, estimate in zip(chosen, shown, archive.reliability.estimate(shown), strict=True)
    ]
    return FoldRules(chosen, np.array(reliability, dtype=np.float64), hits)
