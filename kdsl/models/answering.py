"""A server's model as classifier where the limits allow one answer a sample, but not a score for every label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.looked_at import LookedAt
from kdsl.models.qwen2vl import LargeClassifier
from kdsl.models.recorded import NO_ANSWER, Recorded, RecordedClassifier
from kdsl.vlm.http import HttpModel
from kdsl.vlm.usage import Cost


@dataclass(frozen=True)
class Answering:
    """Asks a server for labels: constrained to the task's where the server can; others are counted and not taken."""

    scored: LargeClassifier
    """The same model, task and prompts."""

    def answers(self, table: FieldTable, kept: Path | None = None) -> Recorded:
        """What the model answers to every sample, one call each, within the limits.

        With `kept`, answers are kept in that file, and what is there is not asked again. Raises KdslError for a model
        none of whose answers is a label.
        """
        task, usage, server = self.scored.task, self.scored.usage, self.scored.model
        assert isinstance(server, HttpModel)
        model = server if kept is None else self.scored.keeping_answers(kept).model
        ids = [row.sample.id for row in table.rows]
        for identity in ids:
            usage.require(identity, calls=1, tokens=self.scored.most_tokens)
        conversations = [self.scored.prompts.conversation(task, row) for row in table.rows]
        server.settle_constraint(task.label_names)
        most = max(len(label.encode()) for label in task.label_names) + 1
        found = model.generate(conversations, most, task.label_names)
        for identity, answer in zip(ids, found, strict=True):
            usage.charge(identity, Cost(answer.calls, answer.output_tokens, answer.dropped))
        labels = [answer.label(task.label_names) for answer in found]
        strays = self.scored.strays
        strays.count(
            None if label is not None else answer.text or answer.aside
            for answer, label in zip(found, labels, strict=True)
        )
        strays.require_any(server.url, f"a label of {task.name}")
        answered = {
            identity: NO_ANSWER if label is None else label for identity, label in zip(ids, labels, strict=True)
        }
        return Recorded(Path(server.identity), task.label_names, answered, {})


@dataclass(frozen=True)
class AnsweringClassifier:
    """P(true label | answered label), as `kdsl.models.recorded` learns it from training samples."""

    answering: Answering
    calibration: RecordedClassifier

    def probabilities(self, table: FieldTable) -> NDArray[np.float64]:
        """[n_samples, n_labels]; see `Classifier.probabilities`."""
        recorded = self.answering.answers(table)
        calibration = self.calibration
        exponents = calibration.confusion_exponent, calibration.probability_exponent
        return RecordedClassifier(recorded, calibration.confusion, *exponents).probabilities(table)

    def looked_at(self, row: SampleFields) -> LookedAt:
        """See `Looking.looked_at`."""
        return self.answering.scored.looked_at(row)

    def save(self, folder: Path) -> None:
        """Write `large.json`, and the calibration to `recorded.json`."""
        self.calibration.save(folder)
        self.answering.scored.save(folder)
