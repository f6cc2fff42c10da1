"""Append-only logs of what people say about samples.

One JSON line an event. It is taken back by another one that names it, so that no line is ever changed or deleted.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, field_validator

from kdsl.data.record import shown
from kdsl.errors import KdslError
from kdsl.files import is_there, opened, stamp_of
from kdsl.json_file import append_durably, append_jsonl, ends_with_a_line, read_jsonl
from kdsl.locks import held
from kdsl.record_file import RecordModel, as_record

_LONGEST_NAME = 100
"""Characters in the name of a person."""
REMEDY = "restore the file from git, or take the line out"

EventId = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]


class Event(RecordModel):
    """What somebody said, and when."""

    event: EventId
    at: str
    """ISO 8601; without a time zone it is the local time of whoever reads it."""
    by: str
    task: str
    id: str
    """Of the sample."""
    undoes: EventId | None = None
    """The event that this one takes back."""

    @field_validator("at")
    @classmethod
    def _time(cls, at: str) -> str:
        datetime.fromisoformat(at)
        return at

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.at).astimezone()


E = TypeVar("E", bound=Event)


def local_time() -> datetime:
    """Now, with the time zone."""
    return datetime.now().astimezone()


class EventLog(Generic[E]):
    """A log in one file. Safe for threads and for several processes."""

    def __init__(self, path: Path, kind: type[E], now: Callable[[], datetime] = local_time) -> None:
        self.path = path
        self._kind = kind
        self._now = now
        self._mutex = threading.RLock()
        self._read: tuple[object, list[E]] = None, []

    def events(self) -> list[E]:
        """What all people said, the oldest first; nothing without a file. The same list until the file changes.

        Raises KdslError for a file that is a link, and for a line that is no event.
        """
        self._require_own()
        stamp = stamp_of(self.path) if is_there(self.path) else None
        if self._read[0] != stamp:
            if stamp is not None:
                self._mend()
                stamp = stamp_of(self.path)
            with held(self.path, shared=True):
                self._read = stamp, [] if stamp is None else list(read_events(self.path, self._kind))
        return self._read[1]

    def _undoable(self, by: str) -> list[E]:
        """What a person said that is not taken back yet, the oldest first."""
        events = self.events()
        undone = {event.undoes for event in events}
        return [each for each in events if each.by == by and each.undoes is None and each.event not in undone]

    def _stamped(self, by: str, remedy: str) -> dict[str, str]:
        """What every event begins with; `remedy` is told where nobody is named."""
        if not by.strip():
            raise KdslError(f"who gives a label has no name; {remedy}")
        if len(by) > _LONGEST_NAME or by.splitlines() != [by]:
            raise KdslError(f"{shown(by)} is no name of a person; {remedy}, of one line")
        return {"event": secrets.token_hex(6), "at": self._now().isoformat(timespec="microseconds"), "by": by}

    def _append(self, record: dict[str, Any]) -> E:
        """Add an event; it is on disk when this returns.

        Raises KdslError for one that could not be read again, and where the file cannot be written.
        """
        self._require_own()
        event = as_record(self._kind, record, self.path, "nothing was saved")
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
            whole = ends_with_a_line(file)
        if not whole:
            with append_jsonl(self.path):
                pass

    def _require_own(self) -> None:
        """A link may lead anywhere, and what is added to the log would be added there."""
        if self.path.is_symlink():
            raise KdslError(f"{self.path}: is a link; a log of labels must be a file of its own")


def read_events(path: Path, kind: type[E]) -> Iterator[E]:
    """The events of a log in their order; KdslError for a line that is none, or that has the id of another one."""
    known: dict[str, E] = {}
    for line, record in read_jsonl(path, REMEDY):
        event = as_record(kind, record, f"{path}, line {line}", REMEDY)
        before = known.setdefault(event.event, event)
        if before is event:
            yield event
        elif before != event:  # git may have joined logs that share lines
            raise KdslError(f"{path}, line {line}: another event has the id {event.event!r} too; {REMEDY}")
