"""Reading a project's data and counting on it. Both take long, so an open page has another process do it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.config import ProjectConfig
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningProblem
from kdsl.project.refining import refining_problem
from kdsl.review.dataset import Dataset
from kdsl.review.model_predictions import ModelPredictions, model_predictions
from kdsl.review.store import RuleStore
from kdsl.review.task_index import Counted
from kdsl.rules.condition import Condition
from kdsl.sample import label_indices

Conditions = Mapping[str, Mapping[str, Sequence[Condition]]]
"""Those of all rules, by task and by their hash."""


@dataclass(frozen=True)
class Reading:
    """A dataset and, by the task's name, what was counted on it."""

    dataset: Dataset
    counted: Mapping[str, Counted]


def conditions_of(store: RuleStore) -> Conditions:
    return {task: {each.when: each.rule.conditions for each in store.rules(task)} for task in store.tasks}


def read_and_count(read: Callable[[], Dataset], conditions: Conditions) -> Reading:
    """Raises KdslError for files that cannot be read or make no sense."""
    return counted(read(), conditions)


def counted(dataset: Dataset, conditions: Conditions) -> Reading:
    """The dataset, with what the conditions hold on."""
    return Reading(
        dataset,
        {
            task.name: Counted.of(FieldTable(dataset.samples[task.name], dataset.sidecars), conditions[task.name])
            for task in dataset.tasks
            if task.name in conditions
        },
    )


def read_and_ask(read: Callable[[], Dataset], config: ProjectConfig, name: str) -> ModelPredictions:
    """What the model says about the samples of the task with that name; KdslError where it cannot be known."""
    dataset = read()
    [task] = [each for each in dataset.tasks if each.name == name]
    samples = dataset.samples[name]
    labels = np.array(label_indices(samples, task), dtype=np.int64)
    return model_predictions(config, task, FieldTable(samples, dataset.sidecars), labels, dataset.orders)


def read_and_prepare(read: Callable[[], Dataset], config: ProjectConfig, name: str) -> MiningProblem:
    """The samples of the task with that name as rules are refined on them; KdslError where they cannot be."""
    dataset = read()
    [task] = [each for each in dataset.tasks if each.name == name]
    return refining_problem(config, task, FieldTable(dataset.samples[name], dataset.sidecars))
