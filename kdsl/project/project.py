"""A project opened for a command: its configuration, tasks, samples and sidecars."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kdsl.errors import KdslError
from kdsl.project.read_once import ReadOnce

if TYPE_CHECKING:
    # Command modules import this one before they know whether they will run: pydantic and YAML must wait.
    from kdsl.config import ProjectConfig
    from kdsl.data.notes import Notes
    from kdsl.fields.sidecar import Sidecars
    from kdsl.fields.table import FieldTable
    from kdsl.rules.rulebase import RuleBase
    from kdsl.sample import Sample, Task
    from kdsl.vlm.cache import CachedModel
    from kdsl.vlm.hosts import Consent

_log = logging.getLogger(__name__)

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Project:
    """What kdsl.yaml describes, read when first asked for, and again only where a file has changed since."""

    config: "ProjectConfig"
    kept: ReadOnce = field(default_factory=ReadOnce, repr=False, compare=False)
    """What was read of its files and made of them so far."""

    @classmethod
    def open(cls, path: Path | None = None, overrides: Sequence[str] = ()) -> "Project":
        """The project of a configuration, a file or its folder, ./kdsl.yaml by default, with `key=value` overrides.

        Raises KdslError for a mistake in the configuration, in an override or in a task file.
        """
        from kdsl.config import load_config

        project = cls(load_config(path, overrides))
        seen: set[str] = set()
        for task in project.tasks:
            if task.name in seen:
                raise KdslError(f"tasks: two task files have the name {task.name!r}; give each task a name of its own")
            seen.add(task.name)
        return project

    @cached_property
    def tasks(self) -> "list[Task]":
        from kdsl.tasks import load_task

        return [load_task(name, self.config.folder) for name in self.config.tasks]

    def samples(self, split: Split = "train") -> "list[Sample]":
        """All samples of a split; KdslError when the configuration names no file for it."""
        return self._read_split(split)[0]

    def notes(self, split: Split) -> "Notes":
        """What was not read of a split's file."""
        return self._read_split(split)[1]

    def _read_split(self, split: Split) -> "tuple[list[Sample], Notes]":
        path = self.config.data.train if split == "train" else self.config.data.test
        if path is None:
            raise KdslError(
                f"{self.config.folder / 'kdsl.yaml'}: data.{split} is not set; name the file of {split} samples "
                f"there, or give data.{split}=FILE"
            )
        return self.kept.file(path, self._read_samples, self.tasks)

    def _read_samples(self, path: Path) -> "tuple[list[Sample], Notes]":
        from kdsl.data.notes import Notes
        from kdsl.data.readers import read_samples

        notes = Notes()
        return read_samples(path, self.tasks, notes), notes

    def iterate_samples(self, path: Path) -> "Iterator[Sample]":
        """The samples of any file: those of the project's own files as they were read, of others one at a time."""
        from kdsl.data.readers import iterate_samples

        own = (self.config.data.train, self.config.data.test)
        known = next((file for file in own if file is not None and file.resolve() == path.resolve()), None)
        if known is None:
            return iterate_samples(path, self.tasks)
        return iter(self.kept.file(known, self._read_samples, self.tasks)[0])

    def task_samples(self, task: "Task", split: Split = "train") -> "list[Sample]":
        """The samples of one task."""
        return [sample for sample in self.samples(split) if sample.task == task.name]

    def field_table(self, task: "Task", split: Split = "train") -> "FieldTable":
        """The fields of the samples of one task, whose texts are normalised once for all that looks at them."""
        from kdsl.fields.table import FieldTable

        samples, sidecars = self.samples(split), self.sidecars()
        return self.kept.made(
            ("fields", task.name, split),
            (samples, sidecars),
            lambda: FieldTable(self.task_samples(task, split), sidecars),
        )

    def rule_base(self, task: "Task") -> "RuleBase":
        """The rules of one task as their files are now; it is one object, which mining and others write to."""
        from kdsl.locks import held
        from kdsl.rules.rulebase import RuleBase

        folder = self.config.rules
        base = self.kept.made(("rules", folder, task.name), (), lambda: RuleBase.load(folder, task.name))
        if base.changed_outside():
            with held(folder, shared=True):
                base.refresh()
        return base

    @property
    def splits(self) -> list[Split]:
        """The splits that the configuration names files for; training samples there always are."""
        return ["train"] if self.config.data.test is None else ["train", "test"]

    def images(self) -> list[str]:
        """The images of all samples, as often as they occur; of the test samples too, where there are any."""
        return [image for split in self.splits for sample in self.samples(split) for image in sample.images]

    @property
    def image_folder(self) -> Path:
        """The folder of the images; KdslError where the configuration names none that exists."""
        folder = self.config.data.images
        if folder is None or not folder.is_dir():
            what = "is not set" if folder is None else f"{folder} is no folder"
            raise KdslError(f"data.images {what}; name the folder that image file names are relative to")
        return folder

    def sidecars(self) -> "Sidecars":
        """What OCR, captioning and visual questions found, of the sidecar files that are configured and exist."""
        from kdsl.fields.sidecar import Sidecars, read_captions, read_ocr
        from kdsl.fields.vqa import read_probabilities

        data = self.config.data
        found = tuple(
            self.kept.file(path, read) if path is not None and path.exists() else {}
            for path, read in (
                (data.ocr, read_ocr),
                (data.captions, read_captions),
                (data.questions, read_probabilities),
            )
        )
        return self.kept.made("sidecars", found, lambda: Sidecars(*found))

    def learned_sidecars(self) -> "Sidecars":
        """`sidecars` for what learns from the training samples; a warning counts images whose text nobody has read."""
        known, data, samples = self.sidecars(), self.config.data, self.samples("train")
        images = dict.fromkeys(image for sample in samples for image in sample.images)
        missing = [image for image in images if image not in known.ocr]
        if data.ocr is not None and missing:
            _log.warning(
                "%s: %d of %d images of the training samples are not there and count as without text, the first being "
                "%s; run `kdsl ocr`",
                data.ocr, len(missing), len(images), missing[0],
            )  # fmt: skip
        if data.ocr is None and images and self.config.prompt.ocr:
            _log.warning("prompt.ocr: data.ocr is not set, so no text is known; name the file, and run `kdsl ocr`")
        return known

    @property
    def consent(self) -> "Consent":
        """For contact with servers that are not this machine."""
        from kdsl.vlm.hosts import Consent
        from kdsl.vlm.load import is_address

        return Consent(self.config.folder, tuple(filter(is_address, self.config.typed_models)))

    @cached_property
    def small(self) -> "CachedModel | None":
        """The small model, loaded when first asked for, with the answers that it gave before; None where lexical."""
        from kdsl.project.small import cached_small

        return cached_small(self)
