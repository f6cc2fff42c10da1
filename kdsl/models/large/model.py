"""The large model of a project: makes the classifiers of its tasks, and reads back those that were trained."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from kdsl.errors import Hint, KdslError
from kdsl.language import in_chinese
from kdsl.models.label_answers import Calibration
from kdsl.models.large.answering import Answering, AnsweringClassifier
from kdsl.models.large.classifier import LargeClassifier
from kdsl.models.large.prompts import Prompts
from kdsl.models.large.record import LARGE_FILE, LargeRecord
from kdsl.models.large.targets import LABEL_END, Target, marks_of
from kdsl.models.large.weights import LargeWeights
from kdsl.retrieval.memory import MEMORY_FILE, Memory
from kdsl.sample import Sample, Task
from kdsl.vlm.free_text import Strays
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.usage import Usage


@dataclass
class LargeModel:
    """One model for all tasks of a project, and what it is asked with."""

    weights: LargeWeights
    tasks: Sequence[Task]
    prompts: Prompts
    usage: Usage = field(default_factory=Usage)
    """What predicted samples have cost, and its limits."""
    target: Target = "label"
    """What its answers hold."""
    strays: Strays = field(default_factory=Strays)
    """Answers about predicted samples that are none of the labels."""

    @property
    def calls(self) -> int:
        """Model calls that predicting a sample takes: one for a reason, one for the label, one for its embedding."""
        return (2 if self.target == "reason_label" else 1) + (self.prompts.embedder is not None)

    @property
    def answers_only(self) -> bool:
        """Whether a sample may cost too few calls to score labels: a server takes a call for each of them, or more."""
        return self.weights.remote and self.usage.limits.calls is not None

    def prepare_pictures(self, samples: Sequence[Sample], stop: Event) -> None:
        """Have the pictures of samples in the cache of the model that is loaded in this process, if one is.

        Until `stop` is set; in another thread than the model computes in. What is wrong with one, predicting tells.
        """
        with suppress(KdslError):
            self.weights.keep_pictures((p.path for each in samples for p in self.prompts.pictures_of(each)), stop)

    def record(self, task: Task, tuned: str | None, memory: Memory | None = None) -> LargeRecord:
        """What predicting `task` depends on, as the project is now."""
        return LargeRecord(
            labels=task.label_names,
            prompt=task.prompt,
            descriptions=self.prompts.descriptions,
            ocr=self.prompts.ocr,
            ocr_tokens=self.prompts.ocr_tokens,
            neighbours=self.prompts.neighbours,
            embeddings="text" if self.prompts.embedder is None else "model",
            knowledge=self.prompts.knowledge,
            pixels=(self.weights.budget.min_pixels, self.weights.budget.max_pixels),
            max_tokens=self.weights.max_tokens,
            target=self.target,
            language="Chinese" if in_chinese(task) else "English",
            model=self.weights.fingerprint,
            answers_only=self.answers_only,
            tuned=tuned,
            tuned_weights=None if tuned is None else self.weights.tuned_fingerprint(tuned),
            memory=None if memory is None else memory.fingerprint,
        )

    def classifier(self, task: Task, tuned: str | None, prompts: Prompts | None = None) -> LargeClassifier:
        """The classifier with what was fine-tuned, or with the model as it stands; `prompts` are the fitted ones."""
        model = self.weights.open(tuned)
        prompts = prompts or self.prompts
        return self._classifier(task, model, prompts, self.record(task, tuned, prompts.memories.get(task.name)))

    def load_classifier(self, task: Task) -> LargeClassifier | AnsweringClassifier:
        """The classifier that `kdsl train` left in the task's checkpoint folder, which counts what samples cost.

        Raises KdslError when there is none, or when the project has changed in what it depends on.
        """
        folder = self.weights.checkpoint / task.name
        record = LargeRecord.load(folder)
        self._require_trained(task, record, folder)
        model = self.weights.open(record.tuned, self._adapters())
        classifier = self._classifier(task, model, self._remembering(task, record, folder), record)
        classifier = replace(classifier, usage=self.usage, strays=self.strays)
        if not record.answers_only:
            return classifier
        return AnsweringClassifier(Answering(classifier), Calibration.load(folder, task.label_names))

    def _require_trained(self, task: Task, record: LargeRecord, folder: Path) -> None:
        """Raise KdslError where the project, or what was fine-tuned, is not as in training."""
        place = None if record.tuned is None else self.weights.tuned_folder(record.tuned)
        if place is not None and not place.is_dir():
            raise KdslError(f"{place}: no such folder", Hint.TRAIN_AGAIN)
        now = self.record(task, record.tuned)
        record.require_same(now, folder)
        if now.tuned_weights != record.tuned_weights:
            raise KdslError(f"{place}: not the weights that {task.name} was trained with", Hint.TRAIN_AGAIN)

    def _remembering(self, task: Task, record: LargeRecord, folder: Path) -> Prompts:
        """The prompts with what they learned in training."""
        if record.memory is None:
            return self.prompts
        memory = Memory.load(folder)
        if memory.fingerprint != record.memory:
            raise KdslError(f"{folder / MEMORY_FILE}: not what {task.name} was trained with", Hint.TRAIN_AGAIN)
        return replace(self.prompts, memories={task.name: memory})

    def _adapters(self) -> list[str]:
        """The adapters of all tasks that were trained."""
        found = []
        for task in self.tasks:
            folder = self.weights.checkpoint / task.name
            tuned = LargeRecord.load(folder).tuned if (folder / LARGE_FILE).exists() else None
            if tuned is not None and self.weights.is_adapter(tuned):
                found.append(tuned)
        return list(dict.fromkeys(found))

    def _classifier(
        self, task: Task, model: VisionLanguageModel, prompts: Prompts, record: LargeRecord
    ) -> LargeClassifier:
        tokens = self.weights.token_counter(model)
        ending = LABEL_END if record.target == "label_reason" else ""
        most = max(tokens(label + ending) for label in task.label_names)
        mark = tokens(marks_of(task).label) - 1 if record.target == "reason_label" else 0
        return LargeClassifier(task, model, prompts, record, most, mark)
