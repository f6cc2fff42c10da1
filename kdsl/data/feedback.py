"""The append-only log of feedback: what people say is right about samples that the service decided.

An event holds the whole sample, so that it can be trained on without the log of the service.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from kdsl.data.event_log import Event, EventLog, local_time
from kdsl.data.media import AUDIO, IMAGES, check_media_name
from kdsl.data.record import shown
from kdsl.data.writers import plain_record, unknown_label
from kdsl.errors import KdslError
from kdsl.record_file import RecordModel
from kdsl.sample import Role, Sample, SampleKey, Task, Turn

Answer = str | tuple[str, ...]
"""A label; of a task with several labels a sample those that hold, () where none does."""

_NAME = "give one as `by`"


class GivenTurn(RecordModel):
    """A turn in KDSL's plain form."""

    role: Role
    text: str
    images: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()


class GivenSample(RecordModel):
    """A sample in KDSL's plain form, without a label."""

    id: str
    task: str
    turns: tuple[GivenTurn, ...] = ()
    images: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()

    @field_validator("images", "audio")
    @classmethod
    def _names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            try:
                check_media_name(name, IMAGES if info.field_name == "images" else AUDIO)
            except KdslError as error:
                raise ValueError(str(error)) from error
        return names

    @model_validator(mode="after")
    def _all_files(self) -> "GivenSample":
        if missing := [image for turn in self.turns for image in turn.images if image not in self.images]:
            raise ValueError(f"the image {missing[0]!r} of a turn is not among the images of the sample")
        if missing := [sound for turn in self.turns for sound in turn.audio if sound not in self.audio]:
            raise ValueError(f"the sound {missing[0]!r} of a turn is not among the sounds of the sample")
        return self

    @property
    def sample(self) -> Sample:
        turns = tuple(Turn(turn.role, turn.text, turn.images, turn.audio) for turn in self.turns)
        return Sample(self.id, self.task, turns, self.images, audio=self.audio)


class FeedbackEvent(Event):
    """What somebody said is right about a sample, or that they take it back."""

    label: Answer | None = None
    """What is right; None where something is taken back."""
    predicted: Answer | None = None
    """What the service had decided; None where it had handed the sample to a person, or that is not known."""
    rules: tuple[str, ...] = ()
    """The ids of the rules that held on the sample."""
    sample: GivenSample | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> "FeedbackEvent":
        if self.undoes is not None:
            if (self.label, self.predicted, self.rules, self.sample) != (None, None, (), None):
                raise ValueError("what takes an event back has no label, prediction, rules or sample of its own")
        elif self.label is None or self.sample is None:
            raise ValueError("an event has a label and a sample, or names the event that it takes back")
        elif (self.sample.task, self.sample.id) != (self.task, self.id):
            raise ValueError(f"the sample is {self.sample.id!r} of {self.sample.task}, not {self.id!r} of {self.task}")
        return self


@dataclass(frozen=True)
class LastWord:
    """What counts of all that people said about one sample."""

    event: FeedbackEvent
    """Its last one."""
    sample: Sample
    """With the label that was given."""
    others: tuple[FeedbackEvent, ...] = ()
    """The last words of other people, where they say otherwise."""
    number: int = 0
    """How many other samples of the same id feedback was given about before."""

    @property
    def events(self) -> tuple[FeedbackEvent, ...]:
        """What is said about it, by one person each, the last word last."""
        return (*self.others, self.event)

    @property
    def renamed(self) -> "LastWord":
        """The same of the sample under an id of its own, which stays whatever is said later."""
        return replace(self, sample=replace(self.sample, id=f"{self.sample.id}~{self.sample.fingerprint[:8]}"))


class FeedbackLog(EventLog[FeedbackEvent]):
    """The log in one file. Safe for threads and for several processes."""

    def __init__(self, path: Path, now: Callable[[], datetime] = local_time) -> None:
        super().__init__(path, FeedbackEvent, now)
        self._words: tuple[list[FeedbackEvent], list[LastWord]] | None = None

    def give(
        self,
        sample: Sample,
        label: str | Sequence[str] | None,
        by: str,
        task: Task,
        predicted: str | Sequence[str] | None = None,
        rules: Sequence[str] = (),
    ) -> FeedbackEvent:
        """Say that `label` is right for a sample of `task`; see `right_answer`.

        `predicted` is what the service had decided and `rules` are the ids of those that held, where that is known.
        The event is on disk when this returns. Raises KdslError for a label that the task does not list, for a name
        that is empty, for what no file can hold, and where the file cannot be written.
        """
        if sample.task != task.name:
            raise ValueError(f"the sample is of {sample.task!r}, not of {task.name!r}")
        content = plain_record(replace(sample, label=None, labels=None, copy_of=None))
        del content["label"]
        said = {"label": right_answer(label, task), "predicted": predicted, "rules": list(rules), "sample": content}
        return self._append({**self._stamped(by, _NAME), "task": sample.task, "id": sample.id, **said})

    def undo(self, by: str) -> FeedbackEvent | None:
        """Take back the last thing that the person said and has not taken back yet; None where there is none."""
        with self._alone():
            left = self._undoable(by)
            if not left:
                return None
            last = left[-1]
            self._append({**self._stamped(by, _NAME), "task": last.task, "id": last.id, "undoes": last.event})
            return last

    def words(self) -> list[LastWord]:
        """The last word about each sample, in the order in which they were first spoken of; errors of `events`.

        The same list until the file changes.
        """
        events = self.events()
        if self._words is None or self._words[0] is not events:
            self._words = events, last_words(events)
        return self._words[1]


def right_answer(label: str | Sequence[str] | None, task: Task) -> Answer:
    """What somebody said is right, as samples of the task have it.

    Where a sample may have several labels (`Task.multi`) these are a list of them, or one alone. Else None, which
    stands for none of the labels, is the task's `other`. Raises KdslError for a label that the task does not list.
    """
    if task.multi:
        given: Any = [label] if isinstance(label, str) else label
        if not isinstance(given, list | tuple):
            raise KdslError(f"samples of {task.name} may have several labels; give a list of those that hold, or []")
        for each in given:
            _require_listed(each, task)
        return tuple(name for name in task.label_names if name in given)
    if label is None and task.other is None:
        raise KdslError(f"{task.name} has no label for what belongs to none of the others; {_one_of(task)}")
    if label is None:
        return str(task.other)
    if not isinstance(label, str):
        raise KdslError(f"a sample of {task.name} has one label, not {shown(label)}; {_one_of(task)}")
    _require_listed(label, task)
    return label


def last_words(events: Sequence[FeedbackEvent]) -> list[LastWord]:
    """What counts of `events`, the oldest first.

    >>> last_words([])
    []
    """
    undone = {event.undoes for event in events}
    said: dict[tuple[SampleKey, str], dict[str, FeedbackEvent]] = {}
    samples: dict[tuple[SampleKey, str], Sample] = {}
    numbers: dict[SampleKey, int] = {}
    found = []
    for event in events:
        if event.sample is not None:
            sample = event.sample.sample
            content = sample.key, sample.fingerprint
            samples.setdefault(content, sample)
            by_whom = said.setdefault(content, {})
            if event.event not in undone:
                by_whom.pop(event.by, None)  # so that the last of them is the last word
                by_whom[event.by] = event
    for content, by_whom in said.items():
        number = numbers.get(content[0], 0)
        numbers[content[0]] = number + 1  # what was taken back counts, so that ids stay
        if by_whom:
            *before, last = by_whom.values()
            others = tuple(event for event in before if event.label != last.label)
            found.append(LastWord(last, with_answer(samples[content], last.label), others, number))
    return found


def answer_words(answer: Answer | None) -> str:
    """An answer to be read: `refund`, `refund + size`, `no label`."""
    return with_answer(Sample("", ""), answer).answer_words or ""


def with_answer(sample: Sample, answer: Answer | None) -> Sample:
    """The sample with that label, or with those labels."""
    if isinstance(answer, tuple):
        return replace(sample, label=None, labels=answer)
    return replace(sample, label=answer, labels=None)


def _require_listed(label: object, task: Task) -> None:
    if label not in task.label_names:
        raise KdslError(unknown_label(label, [task]))


def _one_of(task: Task) -> str:
    return f"give one of {', '.join(task.label_names):.200}"
