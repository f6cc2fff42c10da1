"""What the model says about training samples that it was not trained on, kept in the checkpoint once it is known."""

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.stream import file_hash
from kdsl.config import ProjectConfig
from kdsl.data.splits import stratified_folds
from kdsl.fields.table import FieldTable
from kdsl.files import write_atomically
from kdsl.mining.miner import MiningSettings
from kdsl.sample import Task

FILE = "review.npz"


@dataclass(frozen=True)
class ModelWord:
    """Out-of-fold predictions; see `kdsl.models.out_of_fold`."""

    probabilities: NDArray[np.float64]
    """[n_samples, n_labels]; uniform where nothing is known."""
    known: NDArray[np.bool_]
    """[n_samples]"""

    @cached_property
    def said(self) -> NDArray[np.int64]:
        """Index of the likeliest label, -1 where nothing is known: [n_samples]."""
        return np.where(self.known, self.probabilities.argmax(axis=1), -1)


def model_word(config: ProjectConfig, task: Task, table: FieldTable, labels: NDArray[np.int64]) -> ModelWord | None:
    """Read, or find out (seconds to minutes) and keep. None for a large model, which is too costly to ask here."""
    if config.large_model is not None or int((labels >= 0).sum()) < 2:
        return None
    path = config.checkpoint / task.name / FILE
    key = _key(config, task, table)
    word = _read(path, key)
    if word is None:
        word = _find_out(config, task, table, labels)
        content = io.BytesIO()
        np.savez(content, key=np.array(key), probabilities=word.probabilities, known=word.known)
        write_atomically(path, content.getvalue())
    return word


def _find_out(config: ProjectConfig, task: Task, table: FieldTable, labels: NDArray[np.int64]) -> ModelWord:
    from kdsl.models.embedded import Embedded, EmbeddedTrainer
    from kdsl.models.out_of_fold import out_of_fold
    from kdsl.models.recorded import RecordedTrainer, read_recorded

    known = labels >= 0
    trainer: EmbeddedTrainer | RecordedTrainer = EmbeddedTrainer(task, Embedded.of(config), config.seed)
    if config.recorded is not None:
        answers = read_recorded(config.recorded, task)
        known &= np.array([row.sample.id in answers.answers for row in table.rows])
        trainer = RecordedTrainer(answers)
    rows = np.flatnonzero(known)
    probabilities = np.full((len(table), len(task.labels)), 1 / len(task.labels))
    if len(rows) > 1:
        folds = stratified_folds(labels[rows], min(MiningSettings().folds, len(rows)), config.seed)
        probabilities[rows] = out_of_fold(trainer, table.select(rows), labels[rows], len(task.labels), folds)
    return ModelWord(probabilities, known)


def _key(config: ProjectConfig, task: Task, table: FieldTable) -> str:
    """Changes with everything that the predictions depend on."""
    data = config.data
    files = [path for path in (data.ocr, data.captions, config.recorded) if path is not None and path.exists()]
    parts = [repr(task.labels), str(config.seed), config.large, repr(config.prompt), file_hash(*files)]
    parts += [repr(row.sample) for row in table.rows]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path, key: str) -> ModelWord | None:
    """None where there is no such file, or one about other samples: it is only a cache."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["key"]) == key:
                return ModelWord(arrays["probabilities"], arrays["known"])
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return None
