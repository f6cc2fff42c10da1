"""What the large model is fine-tuned on: samples of one or several tasks, some of them held out."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.augmentation.augmenter import Augmenter, Copies
from kdsl.augmentation.rendered import render_pictures
from kdsl.data.splits import stratified_folds
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import file_digest
from kdsl.models.large.prompts import Prompts
from kdsl.models.large.targets import CHINESE, marks_of
from kdsl.models.soft_labels import SoftLabels
from kdsl.progress import Progress
from kdsl.sample import Task
from kdsl.training.examples import Example
from kdsl.vlm.conversation import Audio, Picture, pictures, sounds


@dataclass(frozen=True)
class TaskData:
    """Labelled samples of one task; `labels` [n_samples] index `task.labels`, `held_out` [n_samples] marks rows."""

    task: Task
    table: FieldTable
    labels: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Sample id → why it has its label."""
    copies: Copies | None = None
    """Of samples that are not held out."""
    soft_labels: SoftLabels | None = None
    """Samples that a teacher labelled: learned from, never held out."""

    @property
    def trained(self) -> tuple[Task, FieldTable, list[str]]:
        """The task, the samples that are trained on, and their labels."""
        rows = np.flatnonzero(~self.held_out)
        return self.task, self.table.select(rows), [self.task.label_names[self.labels[row]] for row in rows]

    def examples(self, prompts: Prompts, held_out: bool) -> list[Example]:
        """The held-out samples, or the others with their copies, in the order of the table."""
        chosen = np.flatnonzero(self.held_out == held_out)
        rows = [(self.table.rows[row], self.labels[row]) for row in chosen]
        if self.copies is not None and not held_out:
            rows += zip(self.copies.table.rows, self.copies.labels, strict=True)
        names, marks = self.task.label_names, marks_of(self.task)
        examples = [
            Example(
                self.task.name,
                prompts.conversation(self.task, row),
                names[label],
                self.reasons.get(row.sample.source, ""),
                marks,
            )
            for row, label in rows
        ]
        if self.soft_labels is not None and not held_out:
            best = self.soft_labels.shares.argmax(axis=1)
            examples += [
                Example(self.task.name, prompts.conversation(self.task, row), names[label], marks=marks)
                for row, label in zip(self.soft_labels.table.rows, best, strict=True)
            ]
        return examples


def hold_out(
    task: Task,
    table: FieldTable,
    labels: NDArray[np.int64],
    share: float,
    seed: int,
    reasons: Mapping[str, str] | None = None,
    soft_labels: SoftLabels | None = None,
) -> TaskData:
    """About `share` of every label's samples are held out, but never the only sample of a label.

    The same seed holds out the same samples. Raises KdslError where that leaves nothing on one of the sides.
    """
    parts = max(2, round(1 / share))
    if len(labels) >= parts:
        held_out = stratified_folds(labels, parts, seed) == 0
        held_out &= np.bincount(labels, minlength=len(task.labels))[labels] > 1
        if held_out.any() and not held_out.all():
            return TaskData(task, table, labels, held_out, reasons or {}, soft_labels=soft_labels)
    raise KdslError(
        f"{task.name}: {len(labels)} samples are too few to fine-tune on some and hold out others; add samples, or "
        "set `training: {method: none}` to use the model as it stands"
    )


def with_copies(
    data: TaskData,
    augmenter: Augmenter,
    images: Path | None,
    folder: Path,
    workers: int,
    progress: Progress | None = None,
) -> TaskData:
    """The same with changed copies of the samples that are not held out; their images are made in `folder`.

    `images` is the folder of the originals. Errors are those of `render_pictures`.
    """
    rows = np.flatnonzero(~data.held_out)
    copies = augmenter.copies(data.table.select(rows), data.labels[rows])
    files = render_pictures(copies.pictures, images, folder, workers, progress)
    # An absolute path leads to the copy from the folder of the originals, too.
    return replace(data, copies=copies.renamed({name: str(file.absolute()) for name, file in files.items()}))


def examples_of(data: Sequence[TaskData], prompts: Prompts) -> tuple[list[Example], list[Example], Prompts]:
    """What a model is fine-tuned on, what is held out, and the prompts, which know the samples that are trained on."""
    fitted = prompts.fitted([part.trained for part in data])
    trained, held_out = ([each for part in data for each in part.examples(fitted, held)] for held in (False, True))
    return trained, held_out, fitted


def data_hash(examples: list[Example]) -> str:
    """SHA-256 of all conversations and answers, in order, with the contents of the pictures and sounds."""
    digest = hashlib.sha256()
    known: dict[Picture | Audio, str] = {}
    for example in examples:
        files: list[Picture | Audio] = [*pictures(example.conversation), *sounds(example.conversation)]
        for file in files:
            if file not in known:
                known[file] = _content_hash(file)
        texts = [
            known[piece] if isinstance(piece, Picture | Audio) else str(piece)
            for message in example.conversation
            for piece in message.pieces
        ]
        reason = [example.reason] if example.reason else []
        # Chinese marks were the only ones once: what was trained with them is known by the same hash.
        marks = [] if example.marks == CHINESE else [asdict(example.marks)]
        record = json.dumps([example.task, texts, example.answer, *reason, *marks]) + "\n"
        digest.update(record.encode())
    return digest.hexdigest()


def _content_hash(file: Picture | Audio) -> str:
    try:
        return file_digest(file.path).hex()
    except KdslError as error:
        kind = "image" if isinstance(file, Picture) else "sound"
        raise KdslError(f"{error}; training needs every {kind}") from error
