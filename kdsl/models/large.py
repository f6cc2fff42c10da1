"""The large model of a project: the model that `large:` names, and what was fine-tuned from it."""

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from kdsl.errors import KdslError
from kdsl.files import inside
from kdsl.language import in_chinese
from kdsl.models.answering import Answering, AnsweringClassifier
from kdsl.models.label_answers import Calibration
from kdsl.models.prompts import Prompts
from kdsl.models.qwen2vl import LargeClassifier, LargeRecord
from kdsl.models.targets import LABEL_END, Target, marks_of
from kdsl.retrieval.embedding import EmbeddingModel
from kdsl.retrieval.memory import MEMORY_FILE, Memory
from kdsl.sample import Task
from kdsl.vlm.free_text import Strays
from kdsl.vlm.hosts import Consent
from kdsl.vlm.load import is_address, load_model, without_extra
from kdsl.vlm.model import VisionLanguageModel
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.usage import Usage

TUNED_FOLDER = "large"
"""Below the checkpoint: one folder for each adapter or model that was fine-tuned."""
_BATCH = 8


@dataclass
class LargeModel:
    """Makes the classifiers of a project's tasks; weights are loaded when the first is asked for."""

    name: str
    tasks: Sequence[Task]
    checkpoint: Path
    prompts: Prompts
    budget: PixelBudget
    max_tokens: int
    usage: Usage = field(default_factory=Usage)
    """What predicted samples have cost, and its limits."""
    target: Target = "label"
    """What its answers hold."""
    strays: Strays = field(default_factory=Strays)
    """Answers about predicted samples that are none of the labels."""
    consent: Consent | None = None
    """For a server that is not this machine."""
    _loaded: dict[str, VisionLanguageModel] = field(default_factory=dict)
    _embedding: EmbeddingModel | None = None
    _fingerprint: str | None = None

    @property
    def calls(self) -> int:
        """Model calls that predicting a sample takes: one for a reason, one for the label, one for its embedding."""
        return (2 if self.target == "reason_label" else 1) + (self.prompts.embedder is not None)

    @property
    def remote(self) -> bool:
        """Whether a server runs the model: then nothing is trained."""
        return is_address(self.name)

    @property
    def answers_only(self) -> bool:
        """Whether a sample may cost too few calls to score labels: a server takes a call for each of them, or more."""
        return self.remote and self.usage.limits.calls is not None

    @property
    def tunable(self) -> bool:
        """Whether it can be fine-tuned: not on a server, and not an adapter, which is fine-tuned already."""
        return not self.remote and not _local(self.name).is_adapter(self.name)

    @property
    def fingerprint(self) -> str:
        """A short hash of the weights, or the hub id or address. KdslError where the model cannot be there."""
        if self._fingerprint is None:
            self._fingerprint = self.name if self.remote else self._local_fingerprint()
        return self._fingerprint

    def _local_fingerprint(self) -> str:
        local = _local(self.name)
        return local.fingerprint(self.name if local.is_adapter(self.name) else local.find_model(self.name))

    def tuned_folder(self, tuned: str) -> Path:
        """KdslError for what names no folder of the checkpoint's, as a checkpoint that was made elsewhere may say."""
        return inside(self.checkpoint / TUNED_FOLDER, tuned)

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
            pixels=(self.budget.min_pixels, self.budget.max_pixels),
            max_tokens=self.max_tokens,
            target=self.target,
            language="Chinese" if in_chinese(task) else "English",
            model=self.fingerprint,
            answers_only=self.answers_only,
            tuned=tuned,
            tuned_weights=None if tuned is None else self._tuned_fingerprint(tuned),
            memory=None if memory is None else memory.fingerprint,
        )

    def classifier(self, task: Task, tuned: str | None, prompts: Prompts | None = None) -> LargeClassifier:
        """The classifier with what was fine-tuned, or with the model as it stands; `prompts` are the fitted ones."""
        model = self._open(tuned, [] if tuned is None else [tuned])
        prompts = prompts or self.prompts
        record = self.record(task, tuned, prompts.memories.get(task.name))
        return self._classifier(task, model, prompts, record, Usage())

    def load_classifier(self, task: Task) -> LargeClassifier | AnsweringClassifier:
        """The classifier that `kdsl train` left in the task's checkpoint folder, which counts what samples cost.

        Raises KdslError when there is none, or when the project has changed in what it depends on.
        """
        folder = self.checkpoint / task.name
        record = LargeRecord.load(folder)
        if record.tuned is not None and not self.tuned_folder(record.tuned).is_dir():
            raise KdslError(f"{self.tuned_folder(record.tuned)}: no such folder; run `kdsl train` again")
        now = self.record(task, record.tuned)
        record.require_same(now, folder)
        if now.tuned_weights != record.tuned_weights:
            place = self.tuned_folder(record.tuned or "")
            raise KdslError(f"{place}: not the weights that {task.name} was trained with; run `kdsl train` again")
        prompts = self._remembering(task, record, folder)
        model = self._open(record.tuned, self._all_tuned())
        classifier = self._classifier(task, model, prompts, record, self.usage)
        classifier = replace(classifier, strays=self.strays)
        if not record.answers_only:
            return classifier
        return AnsweringClassifier(Answering(classifier), Calibration.load(folder, task.label_names))

    def _remembering(self, task: Task, record: LargeRecord, folder: Path) -> Prompts:
        """The prompts with what they learned in training."""
        if record.memory is None:
            return self.prompts
        memory = Memory.load(folder)
        if memory.fingerprint != record.memory:
            raise KdslError(f"{folder / MEMORY_FILE}: not what {task.name} was trained with; run `kdsl train` again")
        return replace(self.prompts, memories={task.name: memory})

    def embedding_model(self) -> EmbeddingModel:
        """The model as `large:` names it, without what was fine-tuned; its vectors are kept in the checkpoint.

        KdslError for a server's model, whose hidden states nobody can see.
        """
        from kdsl.vlm.cache import CachedModel

        if self.remote:
            raise KdslError(
                f"prompt.embeddings: model needs a model in this process, but `large: {self.name}` is a server; set "
                "`embeddings: text`, or name the model's directory"
            )
        if self._embedding is None:
            loaded = [model for key, model in self._loaded.items() if key.startswith(f"{self.name} with ")]
            model = loaded[0].with_adapter(None) if loaded else self._load(self.name)
            # Processes that train together do not write into one file.
            path = self.checkpoint / TUNED_FOLDER / f"embeddings{os.environ.get('RANK', '')}.jsonl"
            self._embedding = CachedModel(model, path)
        return self._embedding

    def release(self) -> None:
        """Let go of all weights in memory."""
        self._loaded.clear()
        self._embedding = None
        gc.collect()
        if not self.remote:
            import torch

            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _classifier(
        self, task: Task, model: VisionLanguageModel, prompts: Prompts, record: LargeRecord, usage: Usage
    ) -> LargeClassifier:
        # A server does not tell its tokens, but a token is a byte at least; the end is one more.
        tokens = (lambda label: len(label.encode()) + 1) if self.remote else _token_counter(model)
        ending = LABEL_END if record.target == "label_reason" else ""
        most = max(tokens(label + ending) for label in task.label_names)
        mark = tokens(marks_of(task).label) - 1 if record.target == "reason_label" else 0
        return LargeClassifier(task, model, prompts, record, most, mark, usage)

    def _open(self, tuned: str | None, together: Sequence[str]) -> VisionLanguageModel:
        """The model that was fine-tuned; adapters named in `together` share the memory of their base."""
        if tuned is not None and not _local(self.name).is_adapter(str(self.tuned_folder(tuned))):
            return self._load(str(self.tuned_folder(tuned)))
        if tuned is None:
            return self._load(self.name)
        from kdsl.vlm.local import LocalModel

        # Named by number: modules of torch cannot have a dot in their names, tasks can.
        names = {folder: f"adapter{number}" for number, folder in enumerate(together)}
        key = f"{self.name} with {sorted(names)}"
        if key not in self._loaded:
            self.release()
            adapters = {names[folder]: self.tuned_folder(folder) for folder in together}
            self._loaded[key] = LocalModel.load(
                self.name, self.budget, self.max_tokens, batch_size=_BATCH, adapters=adapters
            )
        model = self._loaded[key]
        assert isinstance(model, LocalModel)
        return model.with_adapter(names[tuned])

    def _load(self, name: str) -> VisionLanguageModel:
        if name not in self._loaded:
            self._loaded[name] = load_model(name, self.budget, self.max_tokens, _BATCH, consent=self.consent)
        return self._loaded[name]

    def _all_tuned(self) -> list[str]:
        """The adapters of all tasks that were trained."""
        found = []
        for task in self.tasks:
            folder = self.checkpoint / task.name
            tuned = LargeRecord.load(folder).tuned if (folder / "large.json").exists() else None
            if tuned is not None and _local(self.name).is_adapter(str(self.tuned_folder(tuned))):
                found.append(tuned)
        return list(dict.fromkeys(found))

    def _tuned_fingerprint(self, tuned: str) -> str:
        return _local(self.name).fingerprint(str(self.tuned_folder(tuned)))


def _token_counter(model: VisionLanguageModel) -> Callable[[str], int]:
    from kdsl.vlm.local import LocalModel

    assert isinstance(model, LocalModel)
    return lambda answer: len(model.processor.answer_ids(answer))


def _local(name: str) -> ModuleType:
    """The module that knows model directories; KdslError where the extra `vlm` is missing."""
    try:
        from kdsl.vlm import checkpoint
    except ImportError as error:
        raise without_extra(name, error) from error
    return checkpoint
