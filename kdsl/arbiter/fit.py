"""Fitting the arbiter of a task, on what model and rules say about samples that they were not made from."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.evidence import Floats, label_evidence, overlap
from kdsl.arbiter.pool import AS_IT_IS, Pool, fit_evidence, fit_pool, fit_temperature
from kdsl.arbiter.weighing import Standing
from kdsl.data.splits import stratified_folds
from kdsl.fields.table import FieldTable
from kdsl.mining.archive import Archive, accepts, as_mined, shown_of
from kdsl.mining.reliability import Reliability, Shown, rule_weights
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.rules.rulebase import ACTIVE
from kdsl.rules.statistics import StatisticsByRule
from kdsl.sample import Task

PARTS = 5
"""The arbiter's parameters are fitted on all parts of the out-of-fold predictions but one and judged on that."""
UNPROVEN = 0.5
"""`b` of accepted rules that nothing out of fold speaks about. Rules and model read the same words, so that fitted
values are well below 1: 0.1 to 0.5."""
_UNSEEN = Shown(hits=0, correct=0, positives=0, conditions=1, negations=0, further_terms=0, described=0.0)
"""What a rule shows where there are no samples."""
Labels = NDArray[np.int64]
Fit = Callable[[Floats, Floats, Labels], Pool]
"""Makes a pool of the model's probabilities, the evidence and the labels."""


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
    base_rates = np.bincount(labels, minlength=len(task.labels)) / len(labels)
    active = [rule for rule in rules if rule.status in ACTIVE]
    hits = Engine(active).matrix(table)
    standings = _standings(task, active, hits, labels, statistics, archive.reliability)
    evidence, of_accepted = out_of_fold_evidence(task, table, labels, archive, rules)
    used = np.ones(len(labels), dtype=bool) if answered is None else answered
    listens_to, compared = choose_rules(model[used], evidence[used], of_accepted[used], labels[used], seed)
    return Arbiter(
        task=task.name,
        labels=task.label_names,
        listens_to=listens_to,
        a=compared.pool.a,
        b=compared.pool.b if listens_to != "none" else 0.0,
        model_a=compared.alone.a,
        samples=int(used.sum()),
        model=compared.model,
        both=compared.both,
        base_rates=tuple(base_rates.tolist()),
        rules=standings,
        overlaps=_overlaps(task, active, hits),
        left_out=tuple(sorted(table.sidecars.left_out)),
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

    Nobody has measured a rule here, so those count that people accepted, with the reliability that this promises (see
    `Standing.reviewed`); for others it is that of their label's base rate, unless mining measured them elsewhere.
    A classifier that has learned nothing knows nothing of what the rules say, so that these count in full: `b` is 1.
    `left_out` are the fields that nothing looks at.
    """
    base_rate = 1 / len(task.labels)
    return Arbiter(
        task=task.name,
        labels=task.label_names,
        listens_to="accepted",
        a=1.0,
        b=1.0,
        model_a=1.0,
        samples=0,
        model=None,
        both=None,
        base_rates=(base_rate,) * len(task.labels),
        rules=tuple(
            Standing.of(task.name, rule, _UNSEEN, base_rate, statistics.get((rule.id, rule.when_hash)))
            for rule in rules
        ),
        overlaps=_overlaps(task, rules, Engine(rules).matrix(unlabelled)),
        left_out=tuple(sorted(left_out)),
    )


def _overlaps(task: Task, rules: Sequence[Rule], hits: NDArray[np.bool_]) -> tuple[tuple[int, int, float], ...]:
    """`Arbiter.overlaps` of rules that hit what `hits` [n_samples, n_rules] says."""
    of = np.array([task.label_names.index(rule.label) for rule in rules], dtype=np.int64)
    shared = np.triu(overlap(of, hits), 1)
    return tuple((int(i), int(j), round(float(shared[i, j]), 4)) for i, j in np.argwhere(shared >= 0.00005))


@dataclass(frozen=True)
class Comparison:
    """The merge against the model alone, both with parameters fitted on other samples than they are judged on."""

    pool: Pool
    alone: Pool
    gain: float
    """How much smaller the log loss of the merge is, per sample."""
    error: float
    """Standard error of the gain."""
    model: Quality
    both: Quality


def choose_rules(
    model: Floats, evidence: Floats, of_accepted: Floats, labels: Labels, seed: int
) -> tuple[Literal["all", "accepted", "none"], Comparison]:
    """Which rules to listen to, by the out-of-fold `evidence` of all and that of the accepted ones; `both` of the
    comparison is the quality of what decides then.

    All of them where that makes the log loss smaller. What people vouch for needs no such proof: accepted rules are
    left out only where they make it larger by more than its standard error.
    """
    of_all = compare(model, evidence, labels, seed)
    if evidence.any() and of_all.gain > 0:
        return "all", of_all
    if not of_accepted.any():  # none yet, or none that a fold's mining found again: nothing to judge them by
        return "accepted", replace(of_all, pool=Pool(of_all.alone.a, UNPROVEN), both=of_all.model)
    compared = compare(model, of_accepted, labels, seed)
    if compared.gain >= -compared.error:
        return "accepted", compared
    return "none", replace(of_all, both=of_all.model)


def compare(model: Floats, evidence: Floats, labels: Labels, seed: int) -> Comparison:
    """Fit the pool, and hold it against the model alone on samples that the parameters of neither were fitted on.

    By the same measure `a` stays 1, with rules and without them, where a fitted one is no better.
    """
    parts = stratified_folds(labels, min(PARTS, len(labels)), seed)
    rows = np.arange(len(labels)), labels

    def best(*fits: Fit) -> tuple[Pool, Floats]:
        """The first of them that no other one is better than, and its log probabilities."""
        judged = [_held_out(fit, model, evidence, labels, parts) for fit in fits]
        least = int(np.argmin([-each[rows].mean() for each in judged]))
        return fits[least](model, evidence, labels), judged[least]

    alone, before = best(_as_it_is, fit_temperature)
    pool, after = best(fit_evidence, fit_pool)
    gains = after[rows] - before[rows]
    return Comparison(
        pool,
        alone,
        float(gains.mean()),
        float(gains.std() / np.sqrt(len(gains))),
        _quality(before, labels),
        _quality(after, labels),
    )


def _as_it_is(model: Floats, evidence: Floats, labels: Labels) -> Pool:
    return AS_IT_IS


def _held_out(fit: Fit, model: Floats, evidence: Floats, labels: Labels, parts: NDArray[np.int64]) -> Floats:
    """Log probabilities on every part, by the pool that is fitted on the other ones."""
    result = np.empty_like(model)
    for part in np.unique(parts):
        inside, outside = parts == part, parts != part
        pool = fit(model[outside], evidence[outside], labels[outside])
        result[inside] = pool.log_probabilities(model[inside], evidence[inside])
    return result


def _quality(log_probabilities: Floats, labels: Labels) -> Quality:
    from sklearn.metrics import f1_score

    return Quality(
        log_loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        weighted_f1=float(f1_score(labels, log_probabilities.argmax(axis=1), average="weighted", zero_division=0.0)),
    )


def _standings(
    task: Task,
    rules: Sequence[Rule],
    hits: NDArray[np.bool_],
    labels: Labels,
    statistics: StatisticsByRule,
    reliability: Reliability,
) -> tuple[Standing, ...]:
    """What every rule is worth, by its counts on all training samples."""
    shown = [shown_of(rule, hits[:, i], labels, task) for i, rule in enumerate(rules)]
    estimates = reliability.estimate(shown)
    return tuple(
        Standing.of(task.name, rule, counts, float(estimate), statistics.get((rule.id, rule.when_hash)))
        for rule, counts, estimate in zip(rules, shown, estimates, strict=True)
    )


def out_of_fold_evidence(
    task: Task, table: FieldTable, labels: Labels, archive: Archive, rules: Sequence[Rule]
) -> tuple[Floats, Floats]:
    """What the rules of each fold (see `fold_rules`) say about its samples: the evidence of all of them, and that of
    those that people approved, both [n_samples, n_labels].

    Overlaps are measured on the other folds. Raises KdslError when `archive` is about other samples.
    """
    n_labels = len(task.labels)
    folds = archive.folds_of([row.sample.id for row in table.rows])
    base_rates = np.bincount(labels, minlength=n_labels) / len(labels)
    evidence, of_accepted = np.zeros((len(table), n_labels)), np.zeros((len(table), n_labels))
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        chosen, reliability, found = fold_rules(task, table, labels, archive, int(fold), rules, outside)
        of = np.array([task.label_names.index(rule.label) for rule in chosen], dtype=np.int64)
        weight, between = rule_weights(reliability, base_rates[of]), overlap(of, found[outside])
        approved = np.array([rule.approved for rule in chosen], dtype=bool)
        evidence[inside] = label_evidence(found[inside], of, weight, between, n_labels)
        of_accepted[inside] = label_evidence(found[inside], of, weight * approved, between, n_labels)
    return evidence, of_accepted


def fold_rules(
    task: Task,
    table: FieldTable,
    labels: Labels,
    archive: Archive,
    fold: int,
    rules: Sequence[Rule],
    outside: NDArray[np.bool_],
) -> tuple[list[Rule], Floats, NDArray[np.bool_]]:
    """The rules that speak on `fold`, their reliability, and what they hit: [n_samples, n_rules].

    These are the rules mined without the fold, less those that people ruled out under the same conditions, and the
    rules that people wrote, measured without the fold.
    """
    known = {(rule.label, rule.when_hash): rule for rule in rules}
    mined, archived = archive.held_out_rules(fold)
    kept = []
    estimated = archive.reliability.estimate([each.shown for each in archived])
    for rule, entry, estimate in zip(mined, archived, estimated, strict=True):
        counts = entry.shown
        decided = known.get((rule.label, rule.when_hash))
        # As for the rule base.
        enters = accepts(
            archive.reliability, counts, float(estimate), archive.base_rates[rule.label], archive.least_precision
        )
        # That a rule is in the base because mining found it on all samples, the fold's too, must not help it here.
        if decided is None or decided.status == "proposed":
            if enters and entry.listed:
                kept.append((rule, counts))
        elif decided.status == "accepted":
            kept.append((decided, counts))
    found_before = {(rule.label, rule.when_hash) for rule, _ in kept}
    written = [
        rule
        for key, rule in known.items()
        if rule.status in ACTIVE and key not in found_before and not as_mined(task.name, rule)
    ]
    chosen = [rule for rule, _ in kept] + written
    hits = Engine(chosen).matrix(table)
    shown = [counts for _, counts in kept]
    shown += [shown_of(rule, hits[outside, len(kept) + i], labels[outside], task) for i, rule in enumerate(written)]
    estimates = archive.reliability.estimate(shown)
    reliability = [
        Standing.of(task.name, rule, count, float(estimate)).reviewed(rule.approved)
        for rule, count, estimate in zip(chosen, shown, estimates, strict=True)
    ]
    return chosen, np.array(reliability, dtype=np.float64), hits
