"""Fine-tuning as a trainer of classifiers: trained on most samples, calibrated on those held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable
from kdsl.models.calibrated import Calibrated
from kdsl.models.large import LargeModel
from kdsl.models.taught import Taught
from kdsl.sample import Task
from kdsl.training.data import TaskData, hold_out
from kdsl.training.fine_tuning import Recipe, fine_tune


@dataclass(frozen=True)
class TaskSamples:
    """Labelled samples of one task; `labels` [n_samples] index `task.labels`."""

    task: Task
    table: FieldTable
    labels: NDArray[np.int64]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Sample id → why it has its label."""
    taught: Taught | None = None
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

    def fit_calibrated(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> Calibrated:
        """See `CalibratingTrainer.fit_calibrated`; errors are those of `hold_out` and `fine_tune`."""
        data = self.data(
            [
                replace(other, table=table, labels=labels) if other.task.name == self.task.name else other
                for other in self.together
            ]
        )
        tuned = self.tuned or _name(data)
        self.large.release()
        fine_tune(self.recipe, data, self.large.tuned_folder(tuned))
        classifier = self.large.classifier(self.task, tuned)
        held_out = next(part.held_out for part in data if part.task.name == self.task.name)
        rows = np.flatnonzero(held_out)
        probabilities = np.full((len(table), n_labels), 1 / n_labels)
        probabilities[rows] = classifier.probabilities(table.select(rows))
        return Calibrated(classifier, probabilities, held_out)

    def with_taught(self, taught: Taught) -> "Tuner":
        """The same, with samples of its task that a teacher labelled, in a folder of its own."""
        together = [
            replace(samples, taught=taught) if samples.task.name == self.task.name else samples
            for samples in self.together
        ]
        return replace(self, together=together, tuned=None)

    def tune(self, deepspeed: Path | None = None) -> None:
        """Fine-tune on the tasks as they are, in this process or several; nothing is loaded for prediction."""
        assert self.tuned is not None
        recipe = replace(self.recipe, deepspeed=deepspeed)
        fine_tune(recipe, self.data(self.together), self.large.tuned_folder(self.tuned))

    def data(self, samples: Sequence[TaskSamples]) -> list[TaskData]:
        """The samples with what is held out of them."""
        training = self.recipe.training
        return [
            hold_out(s.task, s.table, s.labels, training.held_out, self.recipe.seed, s.reasons, s.taught)
            for s in samples
        ]


def _name(data: Sequence[TaskData]) -> str:
    ids = [(part.task.name, row.sample.id) for part in data for row in part.table.rows]
    return f"cross-validation-{sha256(repr(ids).encode()).hexdigest()[:12]}"
