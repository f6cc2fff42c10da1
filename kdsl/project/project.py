"""A project opened for a command: its configuration, tasks, samples and sidecars."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kdsl.errors import Hint, KdslError

if TYPE_CHECKING:
    # Command modules import this one before they know whether they will run: pydantic and YAML must wait.
    from kdsl.config import ProjectConfig
    from kdsl.data.notes import Notes
    from kdsl.fields.sidecar import Sidecars
    from kdsl.progress import Progress
    from kdsl.sample import Sample, Task
    from kdsl.vlm.cache import CachedModel
    from kdsl.vlm.hosts import Consent

_log = logging.getLogger(__name__)

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Project:
    """What kdsl.yaml describes, read when first asked for."""

    config: "ProjectConfig"
    progress: "Progress | None" = None
    """Where long work says how far it is."""

    @classmethod
    def open(
        cls, path: Path | None = None, overrides: Sequence[str] = (), progress: "Progress | None" = None
    ) -> "Project":
        """The project of a configuration, a file or its folder, ./kdsl.yaml by default, with `key=value` overrides.

        Raises KdslError for a mistake in the configuration, in an override or in a task file.
        """
        from kdsl.config import load_config

        project = cls(load_config(path, overrides), progress)
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
        from kdsl.data.notes import Notes
        from kdsl.data.readers import read_samples

        if split not in self._read:
            path = self.config.data.train if split == "train" else self.config.data.test
            if path is None:
                raise KdslError(
                    f"{self.config.folder / 'kdsl.yaml'}: data.{split} is not set; name the file of {split} samples "
                    f"there, or give data.{split}=FILE"
                )
            notes = Notes()
            self._read[split] = read_samples(path, self.tasks, notes), notes
        return self._read[split]

    def task_samples(self, task: "Task", split: Split = "train") -> "list[Sample]":
        """The samples of one task."""
        return [sample for sample in self.samples(split) if sample.task == task.name]

    def images(self) -> list[str]:
        """The images of all samples, as often as they occur; of the test samples too, where there are any."""
        samples = self.samples("train") + (self.samples("test") if self.config.data.test is not None else [])
        return [image for sample in samples for image in sample.images]

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
        from kdsl.fields.vqa import read_answers

        data = self.config.data
        return Sidecars(
            ocr=read_ocr(data.ocr) if data.ocr is not None and data.ocr.exists() else {},
            captions=read_captions(data.captions) if data.captions is not None and data.captions.exists() else {},
            answers=(
                read_answers(data.questions).probabilities()
                if data.questions is not None and data.questions.exists()
                else {}
            ),
        )

    def learned_sidecars(self) -> "Sidecars":
        """`sidecars` for what learns from the training samples; a warning counts images whose text nobody has read."""
        known, data, samples = self.sidecars(), self.config.data, self.samples("train")
        images = dict.fromkeys(image for sample in samples for image in sample.images)
        missing = [image for image in images if image not in known.ocr]
        if data.ocr is not None and missing:
            _log.warning(
                "%s: %d of %d images of the training samples are not there and count as without text, the first being "
                "%s; %s",
                data.ocr, len(missing), len(images), missing[0], Hint.OCR,
            )  # fmt: skip
        if data.ocr is None and images and self.config.prompt.ocr:
            _log.warning("prompt.ocr: data.ocr is not set, so no text is known; name the file, and %s", Hint.OCR)
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

    @cached_property
    def _read(self) -> "dict[Split, tuple[list[Sample], Notes]]":
        return {}
