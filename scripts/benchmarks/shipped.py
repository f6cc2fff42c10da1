"""The rule bases that ship for the two MIRE tasks: the rules alone with no training sample, and what they add.

They were written with a look at the samples whose sha256(id) ends in a digit; the others were kept back from that.
Rules alone say the label with the most evidence, as a project decides that has no labelled sample (without its model).
"""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.sets import DataSet, figures, mean, mire, show
from kdsl.arbiter.fit import unfitted_arbiter
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.embeddings.use import UniversalSentenceEncoder
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome, scores
from kdsl.evaluate.report import TaskResult
from kdsl.fields.table import FieldTable
from kdsl.project.cross_validation import cross_validate
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.rules.shipped import shipped_rules
from kdsl.rules.table import conditions
from kdsl.sample import Sample, label_indices

FOLDS = 5


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench shipped", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/")
    parser.add_argument("--task", help="only this one, mire_intent or mire_scene")
    parser.add_argument("--no-encoder", action="store_true", help="without sentence vectors")
    parser.add_argument("--rules", action="store_true", help="hits of every rule on the samples to write on")
    parser.add_argument("--both", action="store_true", help="5-fold cross-validation as a new project with them")
    parser.add_argument("--seeds", type=int, default=1, help="of --both: repetitions with other folds (default 1)")
    options = parser.parse_args(arguments)
    vectors = None if options.no_encoder else SentenceVectors(UniversalSentenceEncoder())
    sets = [
        replace(data, sidecars=replace(data.sidecars, vectors=vectors))
        for data in mire(options.data)
        if options.task in (None, data.task.name)
    ]
    _print_alone(sets)
    if options.rules:
        for data in sets:
            _print_rules(part(data, True))
    if options.both:
        _print_both(sets, options.seeds, vectors or SentenceVectors(UniversalSentenceEncoder()))
    return 0


def written_on(sample: Sample) -> bool:
    """Whether the sample is one of those that may be looked at when rules are written."""
    return hashlib.sha256(sample.id.encode()).hexdigest()[-1].isdigit()


def alone(data: DataSet, rules: list[Rule]) -> Outcome:
    """What the rules say alone about all samples, knowing none."""
    table = FieldTable(data.samples, data.sidecars)
    arbiter = unfitted_arbiter(data.task, FieldTable([], data.sidecars), rules, {})
    evidence = arbiter.weigh(rules).evidence(Engine(rules).matrix(table), len(data.task.labels)).people
    predicted = np.where(evidence.any(axis=1), evidence.argmax(axis=1), NO_PREDICTION)
    return Outcome(np.array(label_indices(data.samples, data.task), dtype=np.int64), predicted)


def part(data: DataSet, seen: bool) -> DataSet:
    return replace(data, samples=[sample for sample in data.samples if written_on(sample) == seen])


def _kept_back(data: DataSet, result: TaskResult) -> TaskResult:
    kept = np.flatnonzero([not written_on(sample) for sample in data.samples])

    def chosen(outcome: Outcome) -> Outcome:
        probabilities = None if outcome.probabilities is None else outcome.probabilities[kept]
        return Outcome(outcome.truth[kept], outcome.predicted[kept], probabilities)

    ids = tuple(result.ids[row] for row in kept)
    return replace(
        result, ids=ids, model=chosen(result.model), rules=chosen(result.rules), both=chosen(result.both)
    )  # fmt: skip


def _print_alone(sets: list[DataSet]) -> None:
    table = Table(title="Rules that ship, alone, with no training sample", title_justify="left")
    for column in ("task", "rules", "samples", "", "covered", "right there", "weighted F1"):
        table.add_column(column, justify="left" if column in ("task", "samples") else "right")
    for data in sets:
        rules = shipped_rules(data.task.name)
        for name, chosen in (("written on", part(data, True)), ("kept back", part(data, False))):
            found = scores(alone(chosen, rules))
            table.add_row(
                data.task.name, str(len(rules)), name, str(len(chosen.samples)), f"{found.coverage:.1%}",
                f"{found.covered_precision or 0.0:.1%}", f"{100 * found.weighted_f1:.1f}",
            )  # fmt: skip
    Console(width=110).print(table)


def _print_rules(data: DataSet) -> None:
    """Of each label the samples, how many the rules cover and how many they decide rightly; of each rule its hits."""
    rules = shipped_rules(data.task.name)
    outcome = alone(data, rules)
    hits = Engine(rules).matrix(FieldTable(data.samples, data.sidecars))
    table = Table(title=f"{data.task.name}: samples written on", title_justify="left")
    for column in ("label, rule", "samples, hits", "covered", "right", "wrongly said"):
        table.add_column(column, justify="left" if column == "label, rule" else "right")
    for index, label in enumerate(data.task.label_names):
        own, said = outcome.truth == index, outcome.predicted == index
        counts = own.sum(), (own & outcome.covered).sum(), (own & said).sum(), (said & ~own).sum()
        table.add_row(label, *map(str, counts))
        for rule, hit in zip(rules, hits.T, strict=True):
            if rule.label == label:
                right = (hit & own).sum()
                table.add_row(f"  {rule.id} {conditions(rule)[:60]}", str(hit.sum()), "", str(right))
        table.add_section()
    Console(width=130).print(table)


def _print_both(sets: list[DataSet], seeds: int, vectors: SentenceVectors) -> None:
    """Everything but the shipped rules is made inside the folds: vocabulary, mined rules, classifier and arbiter.

    What is printed is of the samples that were kept back, as the rules were fitted to the others by hand.
    """
    rows, means = [], []
    for data in sets:
        results = []
        for seed in range(seeds):
            own = data.learned_as_new_project(seed, vectors).deciding(shipped_rules(data.task.name))
            results.append(figures(_kept_back(data, cross_validate(own, FOLDS)), seed))
            print(f"  {data.task.name}, seed {seed}: model {results[-1]['model']:.1f}, "
                  f"both {results[-1]['both']:.1f}", flush=True)  # fmt: skip
        rows += [(f"{data.task.name}, seed {seed}", row) for seed, row in enumerate(results)]
        means.append(mean(results))
        rows.append((f"{data.task.name}, mean", means[-1]))
    show(f"A new project with the rules that ship, {FOLDS}-fold, samples kept back, weighted F1 in points", rows)
    overall = mean(means)
    print(f"Mean of the tasks: model {overall['model']:.1f}, both {overall['both']:.1f}, gain {overall['gain']:+.1f}")
