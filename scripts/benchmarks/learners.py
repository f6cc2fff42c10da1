"""The rule list on BANKING77 10-shot, by the protocol of rule_list.py, beside RIPPER and pysubgroup."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.learners_peers import peers_python
from benchmarks.rule_list import ListedRule, ListScore, laplace, score_rule_list
from benchmarks.sets import plain
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import Mined, MiningSettings, assemble, jobs, mine_label
from kdsl.mining.run import prepare
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When, rule_id
from kdsl.sample import Label, Sample, Task, label_indices


@dataclass(frozen=True)
class Run:
    seconds_per_label: float
    rules_per_label: float
    score: ListScore


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench learners", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds banking77/train_10shot.jsonl and test.jsonl")
    parser.add_argument("--labels", type=int, default=10, help="the first so many labels (default 10); 77 for all")
    parser.add_argument("--iterations", type=int, default=30, help="search iterations a label and fold (default 30)")
    parser.add_argument("--no-peers", action="store_true", help="leave the other learners out")
    options = parser.parse_args(arguments)
    folder = options.data / "banking77"
    runs = {"KDSL": kdsl_run(folder, options.labels, options.iterations)}
    if not options.no_peers:
        peers = Path(__file__).with_name("learners_peers.py")
        command = [str(peers_python()), str(peers), str(folder), "--labels", str(options.labels)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for line in output.splitlines():
            record = json.loads(line)
            score = ListScore(record["precision"], record["recall"], record["f1"])
            runs[record["learner"]] = Run(record["cpu_seconds"], record["rules"], score)
    show(runs, options.labels)
    return 0


def kdsl_run(folder: Path, n_labels: int, iterations: int) -> Run:
    """Mine the first labels against all the rest, cross-validation for reliability included, on one core."""
    data = plain(folder / "train_10shot.jsonl", "banking77")
    test = plain(folder / "test.jsonl", "banking77").samples
    names = list(dict.fromkeys(sample.label or "" for sample in data.samples))
    task = Task(data.task.name, tuple(Label(name) for name in names))
    labels = np.array(label_indices(data.samples, task), dtype=np.int64)
    settings = MiningSettings()
    settings = replace(settings, search=replace(settings.search, iterations=iterations))
    table = FieldTable(data.samples, Sidecars())
    begun = time.process_time()
    problem = prepare(task, table, labels, settings, seed=0)
    found = {job: mine_label(problem, *job, settings) if job[1] < n_labels else [] for job in jobs(problem)}
    mined = assemble(problem, found)
    seconds = (time.process_time() - begun) / n_labels
    listed = rule_list(mined, task, test)
    truth = [sample.label or "" for sample in test]
    return Run(seconds, len(mined.rules) / n_labels, score_rule_list(listed, truth, names[:n_labels]))


def rule_list(mined: Mined, task: Task, test: list[Sample]) -> list[ListedRule]:
    """The mined rules with Laplace precision of a half, in the order of their estimated reliability."""
    reliability = mined.reliability.estimate(mined.shown)
    rules, precisions = [], []
    for index in np.argsort(-reliability, kind="stable").tolist():
        found, shown = mined.rules[index], mined.shown[index]
        if laplace(shown.correct, shown.hits) < 0.5:
            continue
        conditions = found.written(mined.problem.vocabulary)
        label = task.labels[found.label].name
        rules.append(Rule(id=rule_id(task.name, label, conditions), label=label, when=When(all=conditions)))
        precisions.append(max(float(reliability[index]), 0.5))
    hits = Engine(rules).matrix(FieldTable(test, Sidecars()))
    return [
        ListedRule(rule.label, precision, hits[:, i])
        for i, (rule, precision) in enumerate(zip(rules, precisions, strict=True))
    ]


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
