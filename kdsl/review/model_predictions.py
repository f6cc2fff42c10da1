"""What the model says about training samples that it was not trained on, kept in the checkpoint once it is known."""

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.arbiter import ARBITER_FILE
from kdsl.arbiter.trained import TrainedTask
from kdsl.config import ProjectConfig
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import file_hash, is_there, parsing, write_atomically
from kdsl.label_matrix import is_labelled
from kdsl.mining.miner import MiningSettings
from kdsl.models.by_order import Orders
from kdsl.models.classifier import Classifier
from kdsl.models.cold_start import fit_cold_start
from kdsl.models.embedded import Embedded, EmbeddedTrainer
from kdsl.models.out_of_fold_file import OUT_OF_FOLD_FILE, load_out_of_fold, rows_of
from kdsl.npz_file import floats, read_arrays
from kdsl.sample import Task

REVIEW_PREDICTIONS_FILE = "review.npz"


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """Predictions by models that did not see the samples; see `kdsl.models.out_of_fold`."""

    probabilities: NDArray[np.float64]
    """[n_samples, n_labels]; uniform where nothing is known."""
    known: NDArray[np.bool_]
    """[n_samples]"""
    multi: bool = False
    """Whether a sample may have several labels, each as probable by itself."""

    def says(self, label: int) -> NDArray[np.bool_]:
        """Where the model says a label: the likeliest, or, of several, one that is likelier than not. [n_samples]"""
        if self.multi:
            return self.known & (self.probabilities[:, label] >= 0.5) & (label >= 0)
        return (self.said == label) & self.known

    def denies(self, label: int) -> NDArray[np.bool_]:
        """Where it is known and says otherwise: [n_samples]."""
        return self.known & ~self.says(label)

    @cached_property
    def said(self) -> NDArray[np.int64]:
        """Index of the likeliest label, -1 where nothing is known: [n_samples]."""
        return np.where(self.known, self.probabilities.argmax(axis=1), -1)


def model_predictions(
    config: ProjectConfig, task: Task, table: FieldTable, labels: NDArray[np.int64], orders: Orders = ()
) -> ModelPredictions:
    """Read, or find out (seconds to minutes) and keep. Raises KdslError, saying why, where it cannot be known.

    A large model is too costly to ask here, and an embedded one that learns changed copies or a teacher's samples
    too: they are known by what `kdsl train` kept from them. Before that, the embedded one speaks without these.
    """
    if config.large_model is not None:
        return _of_trained(config, task, table)
    if _learns_more(config) and _was_trained(config, task):
        return _of_trained(config, task, table)
    if int(is_labelled(labels).sum()) < 2:
        raise KdslError("there are too few labelled samples")
    path = config.checkpoint / task.name / REVIEW_PREDICTIONS_FILE
    key = _key(config, task, table)
    predictions = _read(path, key, task, len(table))
    if predictions is None:
        predictions = _find_out(config, task, table, labels, orders)
        content = io.BytesIO()
        np.savez(content, key=np.array(key), probabilities=predictions.probabilities, known=predictions.known)
        write_atomically(path, content.getvalue())
    return predictions


def unlabelled_predictions(
    config: ProjectConfig, task: Task, table: FieldTable, labels: NDArray[np.int64], unlabelled: FieldTable
) -> ModelPredictions | None:
    """What the trained classifier says about samples without a label, else one that is trained for it (seconds).

    None where a large or recorded model would have to be asked. Where nothing can be learned from the labelled
    samples, those of `table` with `labels` [n_samples], the names and descriptions of the labels speak.
    """
    if not len(unlabelled) or config.large_model is not None or config.recorded is not None:
        return None
    classifier = _trained(config, task, unlabelled) or _fitted(config, task, table, labels)
    if classifier is None:
        if task.multi:
            return None
        classifier = fit_cold_start(task, unlabelled, unlabelled.sentence_vectors)
    probabilities = classifier.predict(unlabelled).probabilities
    return ModelPredictions(probabilities, np.ones(len(unlabelled), dtype=bool), task.multi)


def _trained(config: ProjectConfig, task: Task, asked: FieldTable) -> Classifier | None:
    """The classifier of the checkpoint; None where there is none for the task as it is now."""
    if not is_there(config.checkpoint / task.name / ARBITER_FILE):
        return None
    try:
        known, embedded = asked.rows[0].sidecars, Embedded.of(config)
        return TrainedTask.load(task, config.checkpoint, (), embedded=embedded, sidecars=known).classifier
    except KdslError:  # the page tells of it where it shows the arbiter
        return None


def _fitted(
    config: ProjectConfig, task: Task, table: FieldTable, labels: NDArray[np.int64]
) -> Classifier | None:  # fmt: skip
    rows = np.flatnonzero(is_labelled(labels))
    if len(np.unique(labels[rows], axis=0)) < 2:
        return None
    trainer = EmbeddedTrainer(task, Embedded.of(config), config.seed)
    return trainer.fit(table.select(rows), labels[rows], len(task.labels))


def prediction_files(config: ProjectConfig, task: str) -> list[Path]:
    """What the model says is another thing after one of these files has changed."""
    folder = config.checkpoint / task
    trained = [folder / OUT_OF_FOLD_FILE, folder / ARBITER_FILE]
    return trained if config.recorded is None else [config.recorded, *trained]


def _learns_more(config: ProjectConfig) -> bool:
    """Whether the embedded classifier learns more than people's samples."""
    soft_labels = config.large == "linear" and config.data.distilled is not None and is_there(config.data.distilled)
    return config.recorded is None and (soft_labels or config.augment.copies > 0)


def _was_trained(config: ProjectConfig, task: Task) -> bool:
    out_of_fold = load_out_of_fold(config.checkpoint / task.name, task)
    return out_of_fold is not None and out_of_fold.model == config.large


def _of_trained(config: ProjectConfig, task: Task, table: FieldTable) -> ModelPredictions:
    out_of_fold = load_out_of_fold(config.checkpoint / task.name, task)
    if out_of_fold is None:
        raise KdslError("known after kdsl train, which holds samples out")
    if out_of_fold.model != config.large:
        raise KdslError(f"kdsl train was run with large: {out_of_fold.model}; run it again")
    probabilities, known = rows_of(out_of_fold, (row.sample for row in table.rows), len(task.labels))
    if not known.any():
        raise KdslError("kdsl train held none of these samples out; run it again")
    return ModelPredictions(probabilities, known, task.multi)


def _find_out(
    config: ProjectConfig, task: Task, table: FieldTable, labels: NDArray[np.int64], orders: Orders
) -> ModelPredictions:
    from kdsl.models.out_of_fold import out_of_fold
    from kdsl.models.recorded import RecordedTrainer, read_recorded

    known = is_labelled(labels)
    trainer: EmbeddedTrainer | RecordedTrainer = EmbeddedTrainer(task, Embedded.of(config), config.seed)
    if config.recorded is not None:
        answers = read_recorded(config.recorded, task, orders)
        known &= answers.covers(table)
        if known.sum() < 2:
            raise KdslError(f"{config.recorded}: holds predictions for other samples")
        trainer = RecordedTrainer(answers)
    rows = np.flatnonzero(known)
    probabilities = np.full((len(table), len(task.labels)), 1 / len(task.labels))
    folds = stratified_folds(labels[rows], min(MiningSettings().folds, len(rows)), config.seed)
    probabilities[rows] = out_of_fold(trainer, table.select(rows), labels[rows], len(task.labels), folds)
    return ModelPredictions(probabilities, known, task.multi)


def _key(config: ProjectConfig, task: Task, table: FieldTable) -> str:
    """Changes with everything that the predictions depend on."""
    data = config.data
    named = (data.ocr, data.transcripts, data.captions, config.recorded)
    files = [path for path in named if path is not None and is_there(path)]
    parts = [repr(task.labels), str(config.seed), config.large, repr(config.prompt), file_hash(*files)]
    parts += [repr(row.sample) for row in table.rows]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path, key: str, task: Task, n_samples: int) -> ModelPredictions | None:
    """None where there is no such file, or one about other samples: it is only a cache."""
    try:
        with parsing(path, "damaged"):
            arrays = read_arrays(path, "predictions")
            known, probabilities = arrays["known"], floats(arrays, "probabilities", 2)
            shape = n_samples, len(task.labels)
            whole = known.dtype == bool and known.shape == (len(probabilities),) and probabilities.shape == shape
            same = whole and str(arrays["key"]) == key
            return ModelPredictions(probabilities, known, task.multi) if same else None
    except KdslError:
        return None
