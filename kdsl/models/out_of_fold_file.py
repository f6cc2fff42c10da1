"""What a trained model says about training samples that it never saw; `kdsl review` shows it."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import Hint, KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import parsing, write_atomically
from kdsl.npz_file import floats, read_arrays
from kdsl.sample import Sample, Task

OUT_OF_FOLD_FILE = "out_of_fold.npz"


@dataclass(frozen=True)
class OutOfFold:
    """Probabilities, labels in the order of the task, by the sample's fingerprint."""

    model: str
    """`large:` of the configuration that it was trained by."""
    probabilities: dict[str, NDArray[np.float64]]


def save_out_of_fold(
    folder: Path,
    task: Task,
    model: str,
    table: FieldTable,
    probabilities: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> None:
    """Keep rows of `probabilities` [n_samples, n_labels] that `known` [n_samples] marks; KdslError if it fails."""
    rows = np.flatnonzero(known)
    content = io.BytesIO()
    np.savez(
        content, model=np.array(model), labels=np.array(task.label_names),
        keys=np.array([table.rows[row].sample.fingerprint for row in rows], dtype="U32"),
        probabilities=probabilities[rows],
    )  # fmt: skip
    write_atomically(folder / OUT_OF_FOLD_FILE, content.getvalue())


def load_out_of_fold(folder: Path, task: Task) -> OutOfFold | None:
    """None where the task was not trained; KdslError for a damaged file, or one for other labels."""
    path = folder / OUT_OF_FOLD_FILE
    if not path.exists():
        return None
    with parsing(path, "damaged or not predictions", Hint.TRAIN_AGAIN):
        arrays = read_arrays(path, "predictions")
        labels, keys = arrays["labels"].tolist(), arrays["keys"].tolist()
        model, probabilities = str(arrays["model"]), floats(arrays, "probabilities", 2)
        if arrays["keys"].dtype.kind != "U" or arrays["labels"].dtype.kind != "U":
            raise ValueError("keys or labels are not texts")
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ValueError("probabilities are not from 0 to 1")
    if tuple(labels) != task.label_names or probabilities.shape != (len(keys), len(labels)):
        raise KdslError(f"{path}: made for other labels than {task.name} has now", Hint.TRAIN_AGAIN)
    return OutOfFold(model, dict(zip(keys, probabilities, strict=True)))


def rows_of(
    out_of_fold: OutOfFold, samples: Iterable[Sample], n_labels: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities [n_samples, n_labels], uniform where nothing is known, and where something is [n_samples]."""
    found = [out_of_fold.probabilities.get(sample.fingerprint) for sample in samples]
    known = np.array([row is not None for row in found], dtype=bool)
    probabilities = np.full((len(found), n_labels), 1 / n_labels)
    for i, row in enumerate(found):
        if row is not None:
            probabilities[i] = row
    return probabilities, known
