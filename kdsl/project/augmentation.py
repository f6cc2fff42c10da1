"""The augmenter that a project's `augment:` describes, and the files that `kdsl augment` makes with it."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kdsl.augmentation.augmenter import Augmenter, Copies
from kdsl.errors import KdslError
from kdsl.fields.table import FieldTable
from kdsl.files import write_atomically
from kdsl.label_matrix import require_one_label
from kdsl.locks import claimed
from kdsl.mining.run import require_labels
from kdsl.project.project import Project
from kdsl.rules.rule import Rule
from kdsl.sample import Task, label_indices
from kdsl.vlm.cache import UNUSABLE

_log = logging.getLogger(__name__)

AUGMENTED_FOLDER = "augmented"
"""In the checkpoint."""
COPIES_FOLDER = "images"
"""In that folder: the copies' images, those that a fine-tuned model learns from too."""


def augmenter(project: Project, task: Task, rules: Sequence[Rule] = ()) -> Augmenter:
    """Makes copies of samples of `task` that spare what `rules` see; a small model, where there is one, gives words.

    Raises KdslError where neither texts nor images are to be changed, and for paraphrases without a small model.
    """
    config = project.config.augment
    if not (config.text or config.images):
        raise KdslError("augment: text and images are both false, so there is nothing to make; switch one of them on")
    if config.paraphrase and project.config.small_model is None:
        raise KdslError(
            "augment.paraphrase: true needs a model that writes; name one in `small:`, or set augment.paraphrase=false"
        )
    plain = Augmenter(task, config.copies, project.config.seed, tuple(rules), config.text, config.images)
    if not config.text or project.small is None:
        return plain
    from kdsl.augmentation.rewording import SmallRewording

    return replace(plain, reword=SmallRewording(project.small, task, config.paraphrase))


def rules_of(project: Project, task: Task) -> list[Rule]:
    """The rules that copies are to spare: those that people accepted, or have not looked at yet."""
    return project.rule_base(task).active()


@dataclass(frozen=True)
class MadeCopies:
    """What `kdsl augment` made of one task."""

    task: Task
    samples: Counter[str]
    """By label."""
    copies: Counter[str]
    operations: Counter[str]
    """How often each was done."""
    reverted: int
    """Texts and images left as they were for the rules' sake."""
    strayed: int
    """Paraphrases that ask for something else, and were dropped."""
    files: tuple[Path, ...]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        names = self.task.label_names
        return {
            "task": self.task.name,
            "labels": [{"label": name, "samples": self.samples[name], "copies": self.copies[name]} for name in names],
            "operations": dict(self.operations.most_common()),
            "reverted": self.reverted,
            "strayed": self.strayed,
            "files": [str(path) for path in self.files],
        }


def augment_project(project: Project, workers: int | None = None) -> list[MadeCopies]:
    """Make copies of all training samples, with their images, and write everything into the checkpoint.

    Images that are there from an earlier run are kept. Raises KdslError where nothing is asked for, for a sample
    without a label, and for an image that cannot be read.
    """
    require_one_label(project.tasks, "`kdsl augment`")
    with claimed(folders=[project.config.checkpoint]):
        return _augmented(project, workers)


def _augmented(project: Project, workers: int | None) -> list[MadeCopies]:
    from kdsl.augmentation.rendered import render_pictures
    from kdsl.augmentation.written import write_pages, write_samples, write_side_by_side

    config = project.config
    if config.augment.copies == 0:
        raise KdslError("augment.copies is 0, so there is nothing to make; say how many, such as augment.copies=2")
    folder = config.checkpoint / AUGMENTED_FOLDER
    sidecars = project.learned_sidecars()
    tables = [FieldTable(project.task_samples(task), sidecars) for task in project.tasks]
    copies = [_copies(project, task, table) for task, table in zip(project.tasks, tables, strict=True)]
    words = project.small if config.augment.text else None
    if words is not None and words.strays.strays:
        _log.warning("%s: %s; they changed no copy", config.small, words.strays.told(UNUSABLE))
    pictures = {name: picture for each in copies for name, picture in each.pictures.items()}
    files = render_pictures(
        pictures, config.data.images, folder / COPIES_FOLDER, workers or os.cpu_count() or 1, project.progress
    )
    named = [each.renamed({name: file.name for name, file in files.items()}) for each in copies]
    write_pages(named, folder / "ocr.jsonl")
    made = []
    for task, table, each in zip(project.tasks, tables, named, strict=True):
        written = [folder / f"{task.name}.jsonl", folder / f"{task.name}.txt"]
        write_samples(each, written[0])
        write_side_by_side(each, table, written[1])
        sheet = _sheet(each, table, config.data.images or Path(), folder / COPIES_FOLDER, task)
        if sheet is None:
            (folder / f"{task.name}.png").unlink(missing_ok=True)  # an earlier one shows other copies
        else:
            written.append(folder / f"{task.name}.png")
            write_atomically(written[-1], sheet)
        made.append(
            MadeCopies(
                task,
                Counter(row.sample.label or "" for row in table.rows),
                Counter(row.sample.label or "" for row in each.table.rows),
                sum(each.operations, Counter()),
                each.reverted,
                each.strayed,
                tuple(written),
            )
        )
    return made


def _copies(project: Project, task: Task, table: FieldTable) -> Copies:
    labels = np.array(label_indices([row.sample for row in table.rows], task), dtype=np.int64)
    require_labels(task, [row.sample for row in table.rows], labels)
    return augmenter(project, task, rules_of(project, task)).copies(table, labels)


def _sheet(copies: Copies, table: FieldTable, images: Path, folder: Path, task: Task) -> bytes | None:
    from kdsl.augmentation.contact_sheet import contact_sheet

    files = {name: folder / name for name in copies.pictures}
    return contact_sheet(copies, table, images, files, task.label_names)
