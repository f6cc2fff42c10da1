"""A vision-language model as classifier: every label is scored as the whole answer to the task's prompt."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kdsl.fields.table import FieldTable, SampleFields
from kdsl.files import write_atomically
from kdsl.models.classifier import Predicted
from kdsl.models.explanation import MOST_NEAR, Explanation, NearSample
from kdsl.models.large.prompts import Prompts
from kdsl.models.large.record import LARGE_FILE, LargeRecord
from kdsl.models.large.targets import UNLIMITED, marks_of, score_labels
from kdsl.retrieval.wording import LONGEST_OPENING, beginning
from kdsl.sample import SampleKey, Task
from kdsl.vlm.free_text import Strays
from kdsl.vlm.model import VisionLanguageModel, probabilities
from kdsl.vlm.usage import Cost, Usage

SMALLEST = 1e-6
"""Least probability of a label, before rows are made to sum to 1."""


@dataclass(frozen=True)
class LargeClassifier:
    """softmax over the labels of log p(label, end of answer | prompt), as `score_labels` has it for the record's
    target. Implements `Classifier`."""

    task: Task
    model: VisionLanguageModel
    prompts: Prompts
    record: LargeRecord
    most_tokens: int
    """What the longest label takes as an answer."""
    mark_tokens: int = 0
    """What the mark between reason and label takes, where the model writes a reason first."""
    usage: Usage = field(default_factory=Usage)
    """What the samples have cost; predicting one whose limit would be exceeded raises KdslError."""
    strays: Strays = field(default_factory=Strays)
    """Answers that are none of the labels, of a server that gives no probabilities."""

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`. KdslError for an image that cannot be read, and for a server none of whose answers
        is a label."""
        if len(table) == 0:
            return Predicted(np.zeros((0, len(self.task.labels))))
        keys = [row.sample.key for row in table.rows]
        target = self.record.target
        reasoned = target == "reason_label"
        for key in keys:
            least = self.most_tokens + (self.mark_tokens + 1 if reasoned else 0)
            calls = (2 if reasoned else 1) + (self.prompts.embedder is not None)
            self.usage.require(key, calls=calls, tokens=least)
        if self.prompts.embedder is not None:
            for key in keys:
                self.usage.charge(key, Cost(calls=1))
        conversations = [self.prompts.conversation(self.task, row) for row in table.rows]
        tokens = [self._reason_tokens(key) for key in keys]
        scored = score_labels(self.model, conversations, self.task.label_names, target, tokens, marks_of(self.task))
        for key, cost in zip(keys, scored.costs, strict=True):
            self.usage.charge(key, cost)
        self.strays.count(scored.strays or [None] * len(keys))
        self.strays.require_any(self.record.model, f"a label of {self.task.name}")
        result = np.maximum(probabilities(scored.log_probabilities), SMALLEST)
        return Predicted(
            result / result.sum(axis=1, keepdims=True),
            costs=[self.usage.of(key) for key in keys],
            reasons=scored.reasons if reasoned else None,
        )

    def explain(self, row: SampleFields) -> Explanation:
        """See `Explainable.explain`: the samples in the prompt, those too that went as it was too long."""
        prompts = self.prompts
        memory = prompts.memories.get(self.task.name)
        if memory is None or prompts.neighbours == 0:
            return Explanation()
        found = memory.nearest_known(row, prompts.neighbours, prompts.images, prompts.embedder_of(self.task))[
            :MOST_NEAR
        ]
        names = self.task.label_names
        return Explanation(
            tuple(
                NearSample(id, names.index(shown.label), similarity, beginning(shown.text, LONGEST_OPENING))
                for id, similarity, shown in found
            )
        )

    def _reason_tokens(self, sample: SampleKey) -> int:
        """What the limit of output tokens leaves to the reason and its mark."""
        left = self.usage.tokens_left(sample)
        return UNLIMITED if left is None else left - self.most_tokens

    def keeping_answers(self, path: Path) -> "LargeClassifier":
        """The same classifier with its answers kept in a file: what was asked before is not asked again."""
        from kdsl.vlm.cache import CachedModel

        return replace(self, model=CachedModel(self.model, path))

    def save(self, folder: Path) -> None:
        """Write `large.json`, and what prompts draw on; the weights stay where they are."""
        memory = self.prompts.memories.get(self.task.name)
        if memory is not None:
            memory.save(folder)
        write_atomically(folder / LARGE_FILE, self.record.model_dump_json(indent=1) + "\n")
