"""The append-only log of labels that people gave to samples; it lies beside the data, which nobody changes.

An event says who said when that a sample, known by its fingerprint, has that label.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from kdsl.data.event_log import Event, EventId, EventLog, local_time
from kdsl.data.feedback import FeedbackLog, LastWord
from kdsl.data.notes import Notes
from kdsl.errors import KdslError
from kdsl.sample import Sample, SampleKey, Task

Action = Literal["relabel", "confirm", "label", "undo"]


class LabelEvent(Event):
    """What somebody said about the label of a sample."""

    action: Action
    """`label` for a sample that had no label, `confirm` where the one that it had is right; `relabel` else."""
    fingerprint: str
    """Of the sample's content; see `Sample.fingerprint`."""
    label: str | None = None
    was: str | None = None
    """What the sample was labelled before, as its file or an earlier event has it."""
    together: EventId | None = None
    """The first of the events that were one decision, and so are one undo; None for that one itself."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> "LabelEvent":
        undo = self.action == "undo"
        if undo != (self.undoes is not None) or undo != (self.label is None) or (undo and self.was is not None):
            raise ValueError("an undo names the event that it takes back, and any other event a label")
        if not undo and self.action != _action(self.was, self.label):
            raise ValueError(f"from {self.was!r} to {self.label!r} is not the action {self.action!r}")
        return self

    @property
    def key(self) -> SampleKey:
        return self.task, self.id


def _action(was: str | None, label: str | None) -> Action:
    return "label" if was is None else "confirm" if was == label else "relabel"


class LabelLog(EventLog[LabelEvent]):
    """The log in one file. Safe for threads and for several processes."""

    def __init__(
        self, path: Path, now: Callable[[], datetime] = local_time, feedback: FeedbackLog | None = None
    ) -> None:
        """What `feedback` says of a sample later than this log is the last word about it."""
        super().__init__(path, LabelEvent, now)
        self._feedback = feedback
        self._given: tuple[list[LabelEvent], list[LastWord], GivenLabels] | None = None

    def given(self) -> "GivenLabels":
        """What people say by now; errors of `events`."""
        events, words = self.events(), _NOTHING if self._feedback is None else self._feedback.words()
        if self._given is None or self._given[0] is not events or self._given[1] is not words:
            since = {(word.sample.key, word.sample.fingerprint): word.event.time for word in words}
            last = [
                each for each in events if (key := (each.key, each.fingerprint)) not in since or each.time > since[key]
            ]
            self._given = events, words, GivenLabels(last)
        return self._given[2]

    def give(self, sample: Sample, label: str, by: str, together: str | None = None) -> LabelEvent:
        """Say that a sample, which the person saw with the label that it has here, is of `label`.

        It is on disk when this returns. `together` is the id of the first event of the same decision, if this is not
        the first. Raises KdslError where somebody else has given another label since, and where the file cannot be
        written.
        """
        with self._alone():
            now = self.given().now(sample)
            if now.label != sample.label:
                raise changed_since(self.path, now)
            return self._add(
                LabelEvent(
                    **self._stamped(by, _NAME), action=_action(sample.label, label), task=sample.task, id=sample.id,
                    fingerprint=sample.fingerprint, label=label, was=sample.label, together=together,
                )
            )  # fmt: skip

    def undo(self, by: str) -> LabelEvent | None:
        """Take back the last decision of the person that is not taken back yet, all of its events.

        The first of them is returned, None where there is none.
        """
        with self._alone():
            left = self._undoable(by)
            first = (left[-1].together or left[-1].event) if left else None
            taken_back = [event for event in left if first in (event.event, event.together)]
            for event in reversed(taken_back):
                self._add(
                    LabelEvent(
                        **self._stamped(by, _NAME), action="undo", task=event.task, id=event.id,
                        fingerprint=event.fingerprint, undoes=event.event,
                    )
                )  # fmt: skip
            return taken_back[0] if taken_back else None

    def _add(self, event: LabelEvent) -> LabelEvent:
        record = event.model_dump(mode="json", exclude_none=event.action == "undo")
        if event.together is None:
            record.pop("together", None)
        return self._append(record)


_NAME = "give one with --as NAME"
_NOTHING: list[LastWord] = []


def changed_since(path: Path, now: Sample) -> KdslError:
    """What is said to who saw a sample with another label than it has `now`."""
    return KdslError(
        f"{path}: {now.id!r} has the label {now.label!r} since you opened it, so nothing was saved; look at it again"
    )


@dataclass(frozen=True)
class Given:
    """The label that people gave to a sample."""

    label: str
    by: str
    action: Action
    labels: frozenset[str | None]
    """All that it was known to have: by its file, or by what somebody said."""

    def fits(self, sample: Sample) -> bool:
        """Whether the label of the sample, as its file has it, is none that its file was given since."""
        return sample.label in self.labels


class GivenLabels:
    """What people say that samples are: of each the last thing that was said and not taken back.

    >>> GivenLabels().of(Sample("1", "shop")) is None
    True
    """

    def __init__(self, events: Sequence[LabelEvent] = ()) -> None:
        undone = {event.undoes for event in events}
        self._given: dict[SampleKey, dict[str, Given]] = defaultdict(dict)
        self._first: dict[tuple[SampleKey, str], str | None] = {}
        seen: dict[tuple[SampleKey, str], set[str | None]] = defaultdict(set)
        for event in events:
            if event.label is not None:
                self._first.setdefault((event.key, event.fingerprint), event.was)
                seen[event.key, event.fingerprint] |= {event.was, event.label}
        self._keys = {key for key, _ in self._first}
        for event in events:
            if event.label is not None and event.event not in undone:
                labels = frozenset(seen[event.key, event.fingerprint])
                given = Given(event.label, event.by, event.action, labels)
                self._given[event.key][event.fingerprint] = given

    def __len__(self) -> int:
        return sum(map(len, self._given.values()))

    def __iter__(self) -> Iterator[tuple[SampleKey, str, Given]]:
        """Key and fingerprint of a sample, and its label."""
        for key, of_key in self._given.items():
            for fingerprint, given in of_key.items():
                yield key, fingerprint, given

    def of(self, sample: Sample) -> Given | None:
        """What people say about the sample as it is now, whatever its file says since."""
        of_key = self._given.get(sample.key)
        return None if of_key is None else of_key.get(sample.fingerprint)

    def now(self, sample: Sample) -> Sample:
        """A sample that was read a moment ago, perhaps before the last labels were given or taken back, as it is now.

        Where all was taken back it has the label of before.
        """
        given = self.of(sample)
        if given is not None:
            return replace(sample, label=given.label) if given.fits(sample) else sample
        first = (sample.key, sample.fingerprint) if sample.key in self._keys else None
        return replace(sample, label=self._first[first]) if first in self._first else sample

    def applied(
        self, samples: Iterable[Sample], more: Iterable[Sample], tasks: Sequence[Task], notes: Notes
    ) -> list[Sample]:
        """`samples` with the labels that people gave them, and those of `more`, without labels, that were given one.

        What is not used is noted: labels of samples that have changed or are gone, that their file labels otherwise
        since, that their task does not list, and of tasks whose samples may have several by now.
        """
        multi = {task.name for task in tasks if task.multi}
        known = {task.name: frozenset(task.label_names) for task in tasks}
        met: set[tuple[SampleKey, str]] = set()

        def label(sample: Sample) -> Sample:
            given = self.of(sample)
            if given is None:
                return sample
            met.add((sample.key, sample.fingerprint))
            if sample.task in multi:
                what = "labels that people gave are not used, as samples of their task may have several now"
                notes.note(what, repr(sample.id))
            elif given.label not in known.get(sample.task, ()):
                notes.note("labels that people gave are not listed by the task and not used", repr(sample.id))
            elif not given.fits(sample):
                what = "labels that people gave are not used, as the file of the samples has other ones since"
                notes.note(what, repr(sample.id))
            else:
                return replace(sample, label=given.label)
            return sample

        result = list(map(label, samples))
        if len(met) < len(self):
            result += [each for each in map(label, more) if each.label is not None]
        for key, fingerprint, _ in self:
            if key[0] in known and (key, fingerprint) not in met:
                what = "labels that people gave are not used, as their samples have changed or are gone"
                notes.note(what, repr(key[1]))
        return result
