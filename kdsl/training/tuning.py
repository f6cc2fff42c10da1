"""Fine-tuning as a trainer of classifiers: trained on most samples, calibrated on those held out."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.augmentation.augmenter import Augmenter
from kdsl.fields.table import FieldTable
from kdsl.models.calibrated import Calibrated
from kdsl.models.large.model import LargeModel
from kdsl.models.soft_labels import SoftLabels
from kdsl.progress import Progress
from kdsl.rules.rule import Rule
from kdsl.sample import Task
from kdsl.training.data import TaskData, hold_out, with_copies
from kdsl.training.fine_tuning import Recipe, fine_tune


@dataclass(frozen=True)
class TaskSamples:
    """Labelled samples of one task; `labels` [n_samples] index `task.labels`."""

    task: Task
    table: FieldTable
    labels: NDArray[np.int64]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Sample id → why it has its label."""
    soft_labels: SoftLabels | None = None
    """Samples that a teacher labelled."""


@dataclass(frozen=True)
class Tuner:
    """Fine-tunes for one task, together with the samples of others. Implements `CalibratingTrainer`."""

    large: LargeModel
    recipe: Recipe
    task: Task
    together: Sequence[TaskSamples]
    """All tasks that share the adapter, this one included; its samples here are replaced by those to be learned."""
    tuned: str | None = None
    """The folder for the result, below <checkpoint>/large; None: one named by the samples, for cross-validation."""
    augmenters: Mapping[str, Augmenter] = field(default_factory=dict)
    """Task → what makes copies of its samples; none are made for a task without."""
    augmented: Path | None = None
    """Where the copies' images are made."""
    progress: Progress | None = None

    def fit_calibrated(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Calibrated:
        """See `CalibratingTrainer.fit_calibrated`; errors are those of `hold_out` and `fine_tune`."""
        data = self.data(
            [
                replace(other, table=table, labels=labels) if other.task.name == self.task.name else other
                for other in self.together
            ]
        )
        tuned = self.tuned or _name(data)
        self.large.weights.release()
        fine_tune(self.recipe, data, self.large.weights.tuned_folder(tuned), self.progress)
        prompts = self.recipe.prompts.fitted([part.trained for part in data])
        classifier = self.large.classifier(self.task, tuned, prompts)
        held_out = next(part.held_out for part in data if part.task.name == self.task.name)
        rows = np.flatnonzero(held_out)
        probabilities = np.full((len(table), n_labels), 1 / n_labels)
        probabilities[rows] = classifier.predict(table.select(rows)).probabilities
        return Calibrated(classifier, probabilities, held_out)

    def with_soft_labels(self, soft_labels: SoftLabels) -> "Tuner":
        """The same, with samples of its task that a teacher labelled, in a folder of its own."""
        together = [
            replace(samples, soft_labels=soft_labels) if samples.task.name == self.task.name else samples
            for samples in self.together
        ]
        return replace(self, together=together, tuned=None)

    def sparing(self, rules: Sequence[Rule]) -> "Tuner":
        """The same with copies of its task's samples on which these rules still hold."""
        name = self.task.name
        if name not in self.augmenters:
            return self
        return replace(self, augmenters={**self.augmenters, name: replace(self.augmenters[name], rules=tuple(rules))})

    def tune(self, deepspeed: Path | None = None) -> None:
        """Fine-tune on the tasks as they are, in this process or several; nothing is loaded for prediction."""
        assert self.tuned is not None
        recipe = replace(self.recipe, deepspeed=deepspeed)
        fine_tune(recipe, self.data(self.together), self.large.weights.tuned_folder(self.tuned), self.progress)

    def data(self, samples: Sequence[TaskSamples]) -> list[TaskData]:
        """The samples with what is held out of them, and copies of the others."""
        training = self.recipe.training
        data = [
            hold_out(s.task, s.table, s.labels, training.held_out, self.recipe.seed, s.reasons, s.soft_labels)
            for s in samples
        ]
        return [self._with_copies(part) for part in data]

    def _with_copies(self, data: TaskData) -> TaskData:
        augmenter = self.augmenters.get(data.task.name)
        if augmenter is None or self.augmented is None:
            return data
        # Of several processes that fine-tune, each finds or makes every image: which is first does not matter.
        workers = 1 if "LOCAL_RANK" in os.environ else os.cpu_count() or 1
        return with_copies(data, augmenter, self.recipe.prompts.images, self.augmented, workers, self.progress)


def _name(data: Sequence[TaskData]) -> str:
    ids = [(part.task.name, row.sample.id) for part in data for row in part.table.rows]
    return f"cross-validation-{sha256(repr(ids).encode()).hexdigest()[:12]}"
