"""The samples of a project: read by what kdsl.yaml says of files, and labelled as people labelled them since."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kdsl.data.audio_folder import AudioFolder
from kdsl.data.columns import Columns
from kdsl.data.feedback_samples import FeedbackSamples, add_feedback, without_repeats
from kdsl.data.forms import Reading
from kdsl.data.image_folder import ImageFolder
from kdsl.data.media_folder import FETCHED
from kdsl.data.notes import Notes
from kdsl.data.readers import iterate_samples, read_samples
from kdsl.errors import KdslError
from kdsl.files import is_there, stamp_of
from kdsl.sample import Sample

if TYPE_CHECKING:
    from kdsl.project.project import Project

SplitSamples = tuple[list[Sample], Notes]


class SampleFiles:
    """Reads the files of samples of a project, each once while it stays as it is."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._data = project.config.data

    @property
    def has_train(self) -> bool:
        """Whether there are training samples: a file of them, or some that people labelled."""
        data = self._data
        labelled = data.unlabelled is not None and is_there(data.label_log)
        return data.train is not None or labelled or is_there(data.feedback_log)

    def split(self, split: Literal["train", "test"]) -> SplitSamples:
        """All samples of a split, and what was not read; KdslError when there is no file for it."""
        if split not in ("train", "test"):
            raise KdslError(f"{split!r} names no samples of a project; name 'train' or 'test'")
        path = self._data.train if split == "train" else self._data.test
        if path is None and not (split == "train" and self.has_train):
            raise KdslError(
                f"{self._project.config.folder / 'kdsl.yaml'}: data.{split} is not set; name the file of {split} "
                f"samples there, or give data.{split}=FILE"
            )
        samples, notes = ([], Notes()) if path is None else self._of_file(path)
        return (self._as_people_say(samples)[0] if split == "train" else samples), notes

    def iterate_train(self) -> Iterator[Sample]:
        """The training samples, one at a time in memory where nobody has labelled any or given feedback since."""
        said = self._data.label_log, self._data.feedback_log
        if self._data.train is None or any(map(stamp_of, said)):
            return iter(self.split("train")[0])
        return self.iterate(self._data.train)

    def feedback(self) -> FeedbackSamples:
        """See `Project.feedback`."""
        if not self.has_train:
            return FeedbackSamples()
        train = self._data.train
        return self._as_people_say([] if train is None else self._of_file(train)[0])[1]

    def iterate(self, path: Path) -> Iterator[Sample]:
        """The samples of any file, one at a time; of the project's own files those that were read already."""
        own = (self._data.train, self._data.test)
        file = next((file for file in own if file is not None and file.resolve() == path.resolve()), None)
        known = None if file is None else self._project.kept.known_file(file, self._read, *self._read_with())
        return iterate_samples(path, self._project.tasks, reading=self.reading()) if known is None else iter(known[0])

    def reading(self) -> Reading:
        """See `Project.reading`."""
        given, images, audio = self._data.columns, self._data.images, self._data.audio
        texts = tuple(given.text)
        columns = Columns(texts, given.turns, tuple(given.images), given.label, given.id, tuple(given.audio))
        return Reading(
            columns,
            self._data.labels,
            None if images is None else ImageFolder(images),
            None if audio is None else AudioFolder(audio),
        )

    def _read(self, path: Path) -> SplitSamples:
        notes = Notes()
        return read_samples(path, self._project.tasks, notes, self.reading()), notes

    def _read_with(self) -> tuple[object, ...]:
        """What the samples of a file depend on beside the file: the tasks, and what was fetched."""
        folders = self._data.images, self._data.audio
        return self._project.tasks, *(None if folder is None else stamp_of(folder / FETCHED) for folder in folders)

    def _of_file(self, path: Path) -> SplitSamples:
        return self._project.kept.file(path, self._read, *self._read_with())

    def _as_people_say(self, samples: list[Sample]) -> tuple[list[Sample], FeedbackSamples]:
        """The samples of the training file as people labelled them, with those that people labelled elsewhere."""
        logs = self._data.label_log, self._data.feedback_log
        stamps = [stamp_of(path) for path in logs]
        if not any(stamps):
            return samples, FeedbackSamples()
        others = [None if path is None else stamp_of(path) for path in (self._data.unlabelled, self._data.test)]
        made_of = samples, stamps, others, *self._read_with()
        return self._project.kept.made(("as people say", *logs), made_of, lambda: self._say(samples))

    def _say(self, samples: list[Sample]) -> tuple[list[Sample], FeedbackSamples]:
        labels, feedback = self._project.label_log, self._project.feedback_log
        tasks, images, audio = self._project.tasks, self._data.images, self._data.audio
        used, notes = FeedbackSamples(), Notes()
        if words := feedback.words():
            samples, used = add_feedback(samples, words, self._held_out(), tasks, images, notes, audio)
        if is_there(labels.path):
            of_labels = Notes()
            samples = labels.given().applied(samples, self._unlabelled(used), tasks, of_labels)
            of_labels.tell(labels.path)
        samples, used = without_repeats(samples, used, images, notes, audio)
        notes.tell(feedback.path)
        return samples, used

    def _held_out(self) -> list[Sample]:
        """The test samples; none where their file is not there yet."""
        test = self._data.test
        return [] if test is None or not is_there(test) else self._of_file(test)[0]

    def _unlabelled(self, used: FeedbackSamples) -> Iterator[Sample]:
        """Those of data.unlabelled about which no feedback was given, without labels."""
        for sample in () if self._data.unlabelled is None else self.iterate(self._data.unlabelled):
            if used.of(sample) is None:
                yield replace(sample, label=None, labels=None)
