"""The samples of a project: read by what kdsl.yaml says of files, and labelled as people labelled them since."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kdsl.data.columns import Columns
from kdsl.data.forms import Reading
from kdsl.data.image_folder import FETCHED, ImageFolder
from kdsl.data.label_log import LabelLog
from kdsl.data.notes import Notes
from kdsl.data.readers import iterate_samples, read_samples
from kdsl.errors import KdslError
from kdsl.files import stamp_of
from kdsl.sample import Sample

if TYPE_CHECKING:
    from kdsl.project.project import Project

SplitSamples = tuple[list[Sample], Notes]


class SampleFiles:
    """Reads the files of samples of a project, each once while it stays as it is."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._data = project.config.data

    def split(self, split: Literal["train", "test"]) -> SplitSamples:
        """All samples of a split, and what was not read; KdslError when the configuration names no file for it."""
        if split not in ("train", "test"):
            raise KdslError(f"{split!r} names no samples of a project; name 'train' or 'test'")
        path = self._data.train if split == "train" else self._data.test
        if path is None:
            raise KdslError(
                f"{self._project.config.folder / 'kdsl.yaml'}: data.{split} is not set; name the file of {split} "
                f"samples there, or give data.{split}=FILE"
            )
        samples, notes = self._project.kept.file(path, self._read, *self._read_with())
        return (self._with_given_labels(samples) if split == "train" else samples), notes

    def iterate(self, path: Path) -> Iterator[Sample]:
        """The samples of any file, one at a time; of the project's own files those that were read already."""
        own = (self._data.train, self._data.test)
        file = next((file for file in own if file is not None and file.resolve() == path.resolve()), None)
        known = None if file is None else self._project.kept.known_file(file, self._read, *self._read_with())
        return iterate_samples(path, self._project.tasks, reading=self.reading()) if known is None else iter(known[0])

    def reading(self) -> Reading:
        """See `Project.reading`."""
        given, images = self._data.columns, self._data.images
        columns = Columns(tuple(given.text), given.turns, tuple(given.images), given.label, given.id)
        return Reading(columns, self._data.labels, None if images is None else ImageFolder(images))

    def _read(self, path: Path) -> SplitSamples:
        notes = Notes()
        return read_samples(path, self._project.tasks, notes, self.reading()), notes

    def _read_with(self) -> tuple[object, ...]:
        """What the samples of a file depend on beside the file: the tasks, and which images were fetched."""
        images = self._data.images
        return self._project.tasks, None if images is None else stamp_of(images / FETCHED)

    def _with_given_labels(self, samples: list[Sample]) -> list[Sample]:
        """Training samples as people labelled them, with those of data.unlabelled that they labelled."""
        log, unlabelled = self._project.label_log, self._data.unlabelled
        stamp = None if log is None else stamp_of(log.path)
        if log is None or stamp is None:
            return samples
        made_of = samples, stamp, None if unlabelled is None else stamp_of(unlabelled)
        return self._project.kept.made(("given labels", log.path), made_of, lambda: self._give_labels(samples, log))

    def _give_labels(self, samples: list[Sample], log: LabelLog) -> list[Sample]:
        def more() -> Iterator[Sample]:
            known = () if self._data.unlabelled is None else self.iterate(self._data.unlabelled)
            return (replace(sample, label=None, labels=None) for sample in known)

        notes = Notes()
        labelled = log.given().applied(samples, more(), self._project.tasks, notes)
        notes.tell(log.path)
        return labelled
