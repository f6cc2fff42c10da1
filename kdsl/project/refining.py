"""Variants of the rules of a task: its labelled samples prepared once, any number of rules refined."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kdsl.config import ProjectConfig
from kdsl.data.splits import stratified_sample
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import is_labelled, label_array
from kdsl.mining.miner import MiningSettings
from kdsl.mining.problem import MiningProblem
from kdsl.mining.refine import Refinement, refine
from kdsl.mining.run import prepare
from kdsl.project.project import Project
from kdsl.project.rule_reports import rule_of
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule
from kdsl.sample import Task


@dataclass(frozen=True)
class Refiner:
    """Knows the variants of any rule of a task; see `kdsl.mining.refine`."""

    problem: MiningProblem
    table: FieldTable
    """The labelled samples that the problem is about: those that mining searches, see `mining.max_samples`."""

    @classmethod
    def of(cls, config: ProjectConfig, task: Task, table: FieldTable) -> "Refiner":
        """Of a task with these training samples; takes seconds. Raises KdslError where too few have a label."""
        return cls(refining_problem(config, task, table), searched(config, task, table))

    def refine(self, conditions: Sequence[Condition], label: str) -> Refinement:
        """The variants of a rule; KdslError for a label that the task lacks, and for meanings of another encoder."""
        names = self.problem.task.label_names
        if label not in names:
            raise KdslError(
                f"{label[:60]!r} is no label of {self.problem.task.name}, so no sample tells how to refine the rule; "
                "give the rule one of the task's labels"
            )
        return refine(self.problem, self.table, names.index(label), conditions)


def refining_problem(config: ProjectConfig, task: Task, table: FieldTable) -> MiningProblem:
    """The samples of `table` as a search sees them, which is what takes long about a `Refiner`. No model is asked."""
    known = searched(config, task, table)
    labels = label_array([row.sample for row in known.rows], task)
    return prepare(task, known, labels, MiningSettings(), config.seed)


def searched(config: ProjectConfig, task: Task, table: FieldTable) -> FieldTable:
    """The samples with a label of the task that mining searches; without vectors where the encoder can make none of
    new texts."""
    labels = label_array([row.sample for row in table.rows], task)
    known = table.select(np.flatnonzero(is_labelled(labels)))
    ids = [row.sample.id for row in known.rows]
    most = config.mining.max_samples
    known = known.select(stratified_sample(ids, labels[is_labelled(labels)], most, config.seed).tolist())
    vectors = known.sentence_vectors
    if vectors is None or vectors.if_available() is not None:
        return known
    return FieldTable([row.sample for row in known.rows], replace(known.rows[0].sidecars, vectors=None))


def refiner_of(project: Project, task: Task) -> Refiner:
    """The refiner of a project's task, made once; KdslError where the project names no training samples."""
    return project.kept.made(
        ("refiner", task.name),
        (project.field_table(task),),
        lambda: Refiner.of(project.config, task, project.field_table(task)),
    )


def refine_rule(project: Project, id: str) -> tuple[Task, Rule, Refinement]:
    """The rule with that id, its task and its variants, as `kdsl rules refine` shows them."""
    task, rule = rule_of(project, id)
    return task, rule, refiner_of(project, task).refine(rule.conditions, rule.label)
