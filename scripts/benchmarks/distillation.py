"""A recorded zero-shot model as teacher: half of MIRE's scenes as pool, F1 on held-out folds of the other half."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.sets import DataSet, mire
from kdsl.arbiter.fit import fold_rules
from kdsl.data.splits import stratified_folds
from kdsl.distillation.rounds import self_training
from kdsl.distillation.rule_votes import rule_votes
from kdsl.distillation.student import Kept, Student
from kdsl.distillation.teacher import NO_LABEL, TeacherLabels
from kdsl.fields.table import FieldTable
from kdsl.models.linear import LinearTrainer
from kdsl.models.recorded import Recorded, read_recorded
from kdsl.models.soft_labels import SOFT_LABEL_WEIGHT, SoftLabelTrainer
from kdsl.project.fitting import fit, mine_in_memory
from kdsl.project.task import TaskProject
from kdsl.sample import label_indices


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench distillation", description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds mire/, with zero_shot.jsonl in it")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions with other halves (default 1)")
    options = parser.parse_args(arguments)
    scenes = mire(options.data)[0]
    recorded = read_recorded(options.data / "mire" / "zero_shot.jsonl", scenes.task)
    columns = []
    for seed in range(options.seeds):
        columns.append(_figures(scenes, recorded, seed))
        print(f"seed {seed} done", flush=True)
    table = Table(title="Weighted F1 in points, on people's samples held out", title_justify="left")
    for name in ("learned from", *(f"seed {seed}" for seed in range(options.seeds)), "mean"):
        table.add_column(name, justify="left" if name == "learned from" else "right")
    for row in columns[0]:
        values = [column[row] for column in columns]
        table.add_row(row, *(f"{value:.1f}" for value in (*values, float(np.mean(values)))))
    Console(width=110).print(table)
    return 0


def _figures(scenes: DataSet, recorded: Recorded, seed: int) -> dict[str, float]:
    labels = np.array(label_indices(scenes.samples, scenes.task), dtype=np.int64)
    half = stratified_folds(labels, 2, seed)
    people, pool = np.flatnonzero(half == 0), np.flatnonzero(half == 1)
    table = FieldTable(scenes.samples, scenes.sidecars)
    student = _student(scenes, table, labels, people, pool, _lessons(scenes, recorded, table.select(pool)), seed)
    found = self_training(student, 3, lambda: None)
    judged = student.learn(Kept(np.zeros(len(pool), dtype=bool)), lambda: None)
    kept, truth = student.kept(judged), labels[pool]
    answered = student.teacher_labels.labels != NO_LABEL
    gold = replace(
        student, teacher_labels=replace(student.teacher_labels, shares=np.eye(len(scenes.task.labels))[truth])
    )
    full = partial(_soft_labels, seed=seed, weight=1.0)
    right = (student.teacher_labels.labels == truth)[found.kept].mean()
    print(
        f"seed {seed}: {len(people)} labelled, {len(pool)} in the pool, teacher right on "
        f"{(student.teacher_labels.labels == truth)[answered].mean():.1%} of {answered.sum()}; rounds: "
        + ", ".join(f"{r.kept} kept, F1 {100 * r.weighted_f1:.1f}" for r in found.rounds)
        + f"; {found.ended}; {right:.1%} of round {found.best} right"
    )

    def f1(learner: Student, flags: Kept) -> float:
        return 100 * learner.learn(flags, lambda: None).weighted_f1

    everywhere = partial(_everywhere, student)
    return {
        "people's labels alone": 100 * judged.weighted_f1,
        "and what is kept in the first round": f1(student, kept),
        "the same at full weight": f1(replace(student, trainer=full), kept),
        "all that the teacher answered": f1(student, everywhere(answered)),
        "people's labels for the pool": f1(replace(gold, trainer=full), everywhere(np.ones(len(pool), dtype=bool))),
    }


def _lessons(scenes: DataSet, recorded: Recorded, pool: FieldTable) -> TeacherLabels:
    answers = recorded.of(pool)
    labels = np.where(answers.answered, answers.labels, NO_LABEL)
    shares = np.eye(len(scenes.task.labels))[labels] * (labels != NO_LABEL)[:, None]
    return TeacherLabels(labels, (labels != NO_LABEL).astype(float), shares)


def _student(
    scenes: DataSet,
    table: FieldTable,
    labels: np.ndarray,
    people: np.ndarray,
    pool: np.ndarray,
    teacher_labels: TeacherLabels,
    seed: int,
) -> Student:
    task, own, own_labels, unlabelled = scenes.task, table.select(people), labels[people], table.select(pool)
    learned = TaskProject(task, own, own_labels, seed=seed, learn=lambda rules: LinearTrainer(seed))
    mined = mine_in_memory(learned)
    fitted, archive = fit(learned, mined), mined.archive
    folds = archive.folds_of(learned.sample_ids)
    base_rates = np.array(fitted.arbiter.base_rates)
    weighed = fitted.arbiter.weigh(fitted.rules)
    without = {}
    for fold in np.unique(folds).tolist():
        spoken = fold_rules(task, own, own_labels, archive, fold, fitted.rules, folds != fold)
        without[fold] = rule_votes(task, unlabelled, spoken.rules, spoken.reliability, base_rates)
    rules = rule_votes(task, unlabelled, weighed.rules, weighed.reliability, base_rates)
    trainer = partial(_soft_labels, seed=seed)
    return Student(task, own, own_labels, folds, unlabelled, teacher_labels, rules, without, 0.8, trainer)


def _soft_labels(soft_labels, seed: int, weight: float = SOFT_LABEL_WEIGHT) -> SoftLabelTrainer:
    return SoftLabelTrainer(LinearTrainer(seed), replace(soft_labels, weight=weight))


def _everywhere(student: Student, flags: np.ndarray) -> Kept:
    """The same samples for all folds: what nothing of people's had a say in."""
    return Kept(flags, dict.fromkeys(np.unique(student.folds).tolist(), flags))
