"""A server's model as classifier where the limits allow one answer a sample, but not a score for every label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.classifier import Predicted
from kdsl.models.explanation import Explanation
from kdsl.models.label_answers import NO_ANSWER, Answers, Calibration
from kdsl.models.large.classifier import LargeClassifier
from kdsl.vlm.server.model import ServedModel
from kdsl.vlm.usage import Cost


@dataclass(frozen=True)
class Answering:
    """Asks a server for labels: constrained to the task's where the server can; others are counted and not taken."""

    scored: LargeClassifier
    """The same model, task and prompts."""

    def answers(self, table: FieldTable, kept: Path | None = None) -> Answers:
        """What the model answers to every sample, one call each, within the limits.

        With `kept`, answers are kept in that file, and what is there is not asked again. Raises KdslError for a model
        none of whose answers is a label.
        """
        task, usage, server = self.scored.task, self.scored.usage, self.scored.model
        assert isinstance(server, ServedModel)
        model = server if kept is None else self.scored.keeping_answers(kept).model
        keys = [row.sample.key for row in table.rows]
        for key in keys:
            usage.require(key, calls=1, tokens=self.scored.most_tokens)
        conversations = [self.scored.prompts.conversation(task, row) for row in table.rows]
        server.settle_constraint(task.label_names)
        most = max(len(label.encode()) for label in task.label_names) + 1
        found = model.generate(conversations, most, task.label_names)
        for key, answer in zip(keys, found, strict=True):
            usage.charge(key, Cost(answer.calls, answer.output_tokens, answer.dropped))
        labels = [answer.label(task.label_names) for answer in found]
        strays = self.scored.strays
        strays.count(
            None if label is not None else answer.text or answer.aside
            for answer, label in zip(found, labels, strict=True)
        )
        strays.require_any(server.url, f"a label of {task.name}")
        indices = [NO_ANSWER if label is None else label for label in labels]
        return Answers(np.array(indices, dtype=np.int64), (None,) * len(labels))


@dataclass(frozen=True)
class AnsweringClassifier:
    """P(true label | answered label), as `kdsl.models.label_answers` learns it from training samples."""

    answering: Answering
    calibration: Calibration

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`."""
        answers, usage = self.answering.answers(table), self.answering.scored.usage
        costs = [usage.of(row.sample.key) for row in table.rows]
        return Predicted(self.calibration.probabilities(answers), answers.answered, costs)

    def explain(self, row: SampleFields) -> Explanation:
        """See `Explainable.explain`."""
        return self.answering.scored.explain(row)

    def save(self, folder: Path) -> None:
        """Write `large.json`, and the calibration to `recorded.json`."""
        self.calibration.save(folder, self.answering.scored.task.label_names)
        self.answering.scored.save(folder)
