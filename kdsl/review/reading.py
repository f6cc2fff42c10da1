"""Reading a project's data and counting on it. Both take long, so an open page has another process do it."""

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsl.config import ProjectConfig
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import label_array
from kdsl.mining.problem import MiningProblem
from kdsl.project.refining import refining_problem
from kdsl.review.dataset import Dataset
from kdsl.review.labelling import LabelGuide, make_guide
from kdsl.review.model_predictions import ModelPredictions, model_predictions, unlabelled_predictions
from kdsl.review.sample_hits import Counted
from kdsl.review.store import RuleStore
from kdsl.review.stored_hits import Written, write_hits
from kdsl.rules.condition import Condition
from kdsl.sample import Sample, Task

Conditions = Mapping[str, Mapping[str, Sequence[Condition]]]
"""Those of all rules, by task and by their hash."""


@dataclass(frozen=True)
class Reading:
    """A dataset and, by the task's name, what was counted on it."""

    dataset: Dataset
    kept: "KeptDataset"
    """The same, for processes that work on it."""
    counted: Mapping[str, Counted]
    """On training samples."""
    unlabelled: Mapping[str, Counted]
    """On unlabelled ones."""


@dataclass(frozen=True)
class KeptDataset:
    """A dataset as it is given to other processes, which need not read a million samples again for some of them."""

    pickled: bytes

    @classmethod
    def of(cls, dataset: Dataset) -> "KeptDataset":
        return cls(pickle.dumps(dataset, protocol=5))

    def __call__(self) -> Dataset:
        return pickle.loads(self.pickled)


@dataclass(frozen=True)
class Said:
    """What the model says about the samples of a task."""

    predictions: ModelPredictions | None
    """About training samples; None where it cannot be known."""
    no_predictions: str
    """Why it cannot."""
    unlabelled: ModelPredictions | None
    """About the others; None where it is not known."""
    guide: LabelGuide | None = None
    """What to label next; None where that is not known."""


def conditions_of(store: RuleStore) -> Conditions:
    return {task: {each.when: each.rule.conditions for each in store.rules(task)} for task in store.tasks}


def read_and_count(read: Callable[[], Dataset], conditions: Conditions) -> Reading:
    """Raises KdslError for files that cannot be read or make no sense."""
    return counted(read(), conditions)


def counted(dataset: Dataset, conditions: Conditions) -> Reading:
    """The dataset, with what the conditions hold on."""

    def on(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Counted]:
        return {
            task.name: Counted.of(FieldTable(samples.get(task.name, ()), dataset.sidecars), conditions[task.name])
            for task in dataset.tasks
            if task.name in conditions
        }

    return Reading(dataset, KeptDataset.of(dataset), on(dataset.samples), on(dataset.unlabelled))


def read_and_ask(read: Callable[[], Dataset], config: ProjectConfig, name: str) -> Said:
    """What the model says about the samples of the task with that name; KdslError for files that cannot be read."""
    dataset = read()
    [task] = [each for each in dataset.tasks if each.name == name]
    samples = dataset.samples[name]
    labels = label_array(samples, task)
    table = FieldTable(samples, dataset.sidecars)
    others = FieldTable(dataset.unlabelled.get(name, ()), dataset.sidecars)
    predictions, no_predictions = None, ""
    try:
        predictions = model_predictions(config, task, table, labels, dataset.orders)
    except KdslError as error:
        no_predictions = error.in_commands()
    opinions = unlabelled_predictions(config, task, table, labels, others)
    return Said(predictions, no_predictions, opinions, make_guide(table, others, opinions))


def read_and_write(
    read: Callable[[str], tuple[Task, Iterable[Sample], Sidecars]], name: str, folder: Path, conditions: Conditions
) -> Written:
    """All labelled samples of the task with that name, and what the conditions hold on, written into a folder;
    KdslError for files that cannot be read, and where there is no room."""
    return write_hits(folder, *read(name), conditions[name])


def read_and_prepare(read: Callable[[], Dataset], config: ProjectConfig, name: str) -> MiningProblem:
    """The samples of the task with that name as rules are refined on them; KdslError where they cannot be."""
    dataset = read()
    [task] = [each for each in dataset.tasks if each.name == name]
    return refining_problem(config, task, FieldTable(dataset.samples[name], dataset.sidecars))
