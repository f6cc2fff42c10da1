"""The rule list on BANKING77 10-shot, by the protocol of rule_list.py, beside RIPPER, pysubgroup and CN2.

The list is in the order of Laplace precision in training, as that of the peers, and needs no cross-validation. Its
settings were chosen on other draws of 10 samples a label from train.jsonl, for labels 10 to 76 (counted from 0) and
scored on what was left there: the test file was not looked at. On 10 positives a search for precision in few steps
keeps more of it than a long one, and rules that are right on two samples only are not precise enough.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.learners_peers import peers_python
from benchmarks.rule_list import ListedRule, ListScore, laplace, score_rule_list
from benchmarks.sets import plain
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings, mine_label
from kdsl.mining.problem import ALL_SAMPLES, FoundRule, MiningProblem
from kdsl.mining.run import prepare
from kdsl.mining.search import SearchSettings
from kdsl.project.fitting import fit
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.sample import Label, Task, label_indices

SETTINGS = MiningSettings(search=SearchSettings(iterations=100, cost=0.25), recall_power=0.1)
PRECISION = 0.8
"""Laplace precision in training that a rule of the list has at least; the common filter of the peers is 0.5."""


@dataclass(frozen=True)
class Run:
    seconds_per_label: float
    rules_per_label: float
    score: ListScore


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench learners", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds banking77/train_10shot.jsonl and test.jsonl")
    parser.add_argument("--labels", type=int, default=10, help="the first so many labels (default 10); 77 for all")
    parser.add_argument("--no-peers", action="store_true", help="leave the other learners out")
    parser.add_argument("--merge", action="store_true", help="also merge all labels with the linear classifier")
    options = parser.parse_args(arguments)
    folder = options.data / "banking77"
    runs = {"KDSL": kdsl_run(folder, options.labels)}
    if not options.no_peers:
        peers = Path(__file__).with_name("learners_peers.py")
        command = [str(peers_python()), str(peers), str(folder), "--labels", str(options.labels)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in output.splitlines():
            record = json.loads(line)
            score = ListScore(record["precision"], record["recall"], record["f1"])
            runs[record["learner"]] = Run(record["cpu_seconds"], record["rules"], score)
    show(runs, options.labels)
    if options.merge:
        show_merge(folder)
    return 0


def kdsl_run(folder: Path, n_labels: int) -> Run:
    """Mine the first labels against all the rest on one core, vocabulary included."""
    data, test = plain(folder / "train_10shot.jsonl", "banking77"), plain(folder / "test.jsonl", "banking77").samples
    names = list(dict.fromkeys(sample.label or "" for sample in data.samples))
    task = Task(data.task.name, tuple(Label(name) for name in names))
    labels = np.array(label_indices(data.samples, task), dtype=np.int64)
    table = FieldTable(data.samples, Sidecars())
    begun = time.process_time()
    problem = prepare(task, table, labels, SETTINGS, seed=0)
    found = [rule for label in range(n_labels) for rule in mine_label(problem, ALL_SAMPLES, label, SETTINGS)]
    seconds = (time.process_time() - begun) / n_labels
    listed = rule_list(problem, found, FieldTable(test, Sidecars()))
    truth = [sample.label or "" for sample in test]
    return Run(seconds, len(listed) / n_labels, score_rule_list(listed, truth, names[:n_labels]))


def rule_list(problem: MiningProblem, found: Sequence[FoundRule], test: FieldTable) -> list[ListedRule]:
    """The rules with a Laplace precision of at least `PRECISION` in training, and the test samples they hit."""
    members = problem.members(ALL_SAMPLES)
    rules, precisions = [], []
    for each in found:
        shown = problem.shown(each, members)
        # What a label is called is known before any sample: a word of it counts as one more correct hit.
        precision = laplace(shown.correct + shown.described, shown.hits + shown.described)
        if precision >= PRECISION:
            conditions = each.written(problem.vocabulary)
            label = problem.task.labels[each.label].name
            when = When(all=conditions)
            rules.append(Rule(id=rule_id(problem.task.name, label, conditions), label=label, when=when))
            precisions.append(precision)
    hits = Engine(rules).matrix(test)
    return [
        ListedRule(rule.label, precision, hits[:, i])
        for i, (rule, precision) in enumerate(zip(rules, precisions, strict=True))
    ]


def show_merge(folder: Path) -> None:
    """The linear classifier on all labels, alone and merged with mined rules, all fitted on the training file."""
    from sklearn.metrics import accuracy_score, f1_score

    data, test = plain(folder / "train_10shot.jsonl", "banking77"), plain(folder / "test.jsonl", "banking77").samples
    truth = np.array(label_indices(test, data.task), dtype=np.int64)
    begun = time.process_time()
    fitted = fit(data.learned(seed=0), workers=1)
    seconds = time.process_time() - begun
    shown = FieldTable(test, Sidecars())
    model, _, both = fitted.predict(shown)
    title = f"All {len(data.task.labels)} labels, full test set; fitting took {seconds:.0f} s of CPU"
    table_shown = Table(title=title, title_justify="left")
    for column in ("", "accuracy", "macro-F1"):
        table_shown.add_column(column, justify="right" if column else "left")
    rows = {"linear classifier alone": model, "log-linear pool with the rules": both}
    for name, probabilities in rows.items():
        said = probabilities.argmax(axis=1)
        scores = accuracy_score(truth, said), f1_score(truth, said, average="macro")
        table_shown.add_row(name, *(f"{value:.3f}" for value in scores))
    console = Console(width=100, file=sys.stdout)
    console.print(table_shown)
    covered = float(Engine(fitted.rules).matrix(shown).any(axis=1).mean())
    no_gain = "found no gain out of fold and leaves the classifier alone"
    verdict = "merges them" if fitted.arbiter.listens_to == "all" else no_gain
    console.print(f"{len(fitted.rules)} rules speak on {covered:.0%} of the test samples; the arbiter {verdict}.")


def show(runs: dict[str, Run], n_labels: int) -> None:
    table = Table(title=f"BANKING77 10-shot, first {n_labels} labels, full test set", title_justify="left")
    for column in ("learner", "CPU s/label", "times KDSL", "rules/label", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column == "learner" else "right")
    own = runs["KDSL"].seconds_per_label
    for name, run in runs.items():
        scores = [f"{value:.3f}" for value in run.score]
        table.add_row(
            name,
            f"{run.seconds_per_label:.3f}",
            f"{run.seconds_per_label / own:.1f}",
            f"{run.rules_per_label:.1f}",
            *scores,
        )
    Console(width=100, file=sys.stdout).print(table)
