"""The append-only log of labels that people gave to samples; it lies beside the data, which nobody changes.

One JSON line an event: who said when that a sample, known by its fingerprint, has that label. An event is taken back
by another one that names it, so that no line is ever changed or deleted.
"""

import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kdsl.data.notes import Notes
from kdsl.errors import KdslError
from kdsl.files import is_there, opened, stamp_of
from kdsl.json_file import append_durably, append_jsonl, read_jsonl
from kdsl.locks import held
from kdsl.record_file import RecordModel, as_record
from kdsl.sample import Sample, SampleKey, Task

REMEDY = "restore the file from git, or take the line out"

Action = Literal["relabel", "confirm", "label", "undo"]
_EventId = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]


class LabelEvent(RecordModel):
    """What somebody said about the label of a sample."""

    event: _EventId
    at: str
    by: str
    action: Action
    """`label` for a sample that had no label, `confirm` where the one that it had is right; `relabel` else."""
    task: str
    id: str
    fingerprint: str
    """Of the sample's content; see `Sample.fingerprint`."""
    label: str | None = None
    was: str | None = None
    """What the sample was labelled before, as its file or an earlier event has it."""
    undoes: _EventId | None = None
    """The event that this one takes back."""
    together: _EventId | None = None
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


class LabelLog:
    """The log in one file. Safe for threads and for several processes."""

    def __init__(self, path: Path, now: Callable[[], datetime] = datetime.now) -> None:
        self.path = path
        self._now = now
        self._mutex = threading.RLock()
        self._read: tuple[object, list[LabelEvent]] = None, []
        self._given: tuple[list[LabelEvent], GivenLabels] | None = None

    def events(self) -> list[LabelEvent]:
        """What all people said, the oldest first; nothing without a file.

        Raises KdslError for a file that is a link, and for a line that is no event.
        """
        self._require_own()
        if not is_there(self.path):
            self._read = None, []
            return self._read[1]
        stamp = stamp_of(self.path)
        if self._read[0] != stamp:
            self._mend()
            stamp = stamp_of(self.path)
            with held(self.path, shared=True):
                self._read = stamp, list(read_events(self.path))
        return self._read[1]

    def given(self) -> "GivenLabels":
        """What people say by now; errors of `events`."""
        events = self.events()
        if self._given is None or self._given[0] is not events:
            self._given = events, GivenLabels(events)
        return self._given[1]

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
            return self._append(
                LabelEvent(
                    **self._stamped(by), action=_action(sample.label, label), task=sample.task, id=sample.id,
                    fingerprint=sample.fingerprint, label=label, was=sample.label, together=together,
                )
            )  # fmt: skip

    def undo(self, by: str) -> LabelEvent | None:
        """Take back the last decision of the person that is not taken back yet, all of its events.

        The first of them is returned, None where there is none.
        """
        with self._alone():
            events = self.events()
            undone = {event.undoes for event in events}
            left = [event for event in events if _can_be_undone(event, by, undone)]
            first = (left[-1].together or left[-1].event) if left else None
            taken_back = [event for event in left if first in (event.event, event.together)]
            for event in reversed(taken_back):
                self._append(
                    LabelEvent(
                        **self._stamped(by), action="undo", task=event.task, id=event.id,
                        fingerprint=event.fingerprint, undoes=event.event,
                    )
                )  # fmt: skip
            return taken_back[0] if taken_back else None

    def _stamped(self, by: str) -> dict[str, str]:
        if not by.strip():
            raise KdslError("who gives a label has no name; give one with --as NAME")
        return {"event": secrets.token_hex(6), "at": self._now().isoformat(timespec="microseconds"), "by": by}

    def _append(self, event: LabelEvent) -> LabelEvent:
        record = event.model_dump(mode="json", exclude_none=event.action == "undo")
        if event.together is None:
            record.pop("together", None)
        append_durably(self.path, record)
        return event

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread or process reads and adds meanwhile."""
        self._require_own()
        with self._mutex, held(self.path.parent):
            yield

    def _mend(self) -> None:
        """Take away a last line that an interruption tore: nobody was told that it was saved."""
        with opened(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            whole = file.read() in (b"", b"\n")
        if not whole:
            with append_jsonl(self.path):
                pass

    def _require_own(self) -> None:
        """A link may lead anywhere, and what is added to the log would be added there."""
        if self.path.is_symlink():
            raise KdslError(f"{self.path}: is a link; a log of labels must be a file of its own")


def changed_since(path: Path, now: Sample) -> KdslError:
    """What is said to who saw a sample with another label than it has `now`."""
    return KdslError(
        f"{path}: {now.id!r} has the label {now.label!r} since you opened it, so nothing was saved; look at it again"
    )


def _can_be_undone(event: LabelEvent, by: str, undone: set[str | None]) -> bool:
    return event.by == by and event.action != "undo" and event.event not in undone


def read_events(path: Path) -> Iterator[LabelEvent]:
    """The events of a log in their order; KdslError for a line that is none, or that has the id of another one."""
    known: dict[str, LabelEvent] = {}
    for line, record in read_jsonl(path, REMEDY):
        event = as_record(LabelEvent, record, f"{path}, line {line}", REMEDY)
        before = known.setdefault(event.event, event)
        if before is event:
            yield event
        elif before != event:  # git may have joined logs that share lines
            raise KdslError(f"{path}, line {line}: another event has the id {event.event!r} too; {REMEDY}")


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
