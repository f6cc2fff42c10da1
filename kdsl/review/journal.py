"""The append-only log of what people decided: one JSONL file a person, so that git merges them without conflicts.

A decision is two lines: the event with the texts of all files before and after it, on disk before any file changes,
and its end, on disk after they all have. An event without an end was interrupted; `RuleStore` settles it.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from kdsl.errors import KdslError
from kdsl.files import append_jsonl, read_jsonl
from kdsl.rules.rulebase import label_folder

FOLDER = "reviews"
"""Lies in the folder of the rule base: reviews/<person>.jsonl."""

Action = Literal[
    "accept", "reject", "propose", "disable", "skip", "note", "edit", "new", "merge", "pin", "import", "undo"
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileChange(_Part):
    """One file of an event: its text before and after, None where there is no file."""

    file: str
    """Relative to the folder of the rule base, with forward slashes."""
    before: str | None
    after: str | None
    version_before: str
    """First 16 hex digits of the SHA-256 of the file, empty without a file."""
    version_after: str


class Event(_Part):
    """Who did what, when, on which version of which files."""

    number: int
    """Counts from 1 within the person's log."""
    at: str
    by: str
    action: Action
    task: str
    rule: str
    reason: str = ""
    undoes: int | None = None
    """Number of the event, of the same person, that this one takes back."""
    changes: tuple[FileChange, ...] = ()


class Journal:
    """The log of one person. Not safe for several writers by itself: `RuleStore` holds a lock around every use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to: tuple[int, int] = (-1, -1)
        self._events: dict[int, Event] = {}
        self._ends: dict[int, bool] = {}

    def refresh(self) -> None:
        """Take in what other processes, or git, wrote. Raises KdslError for a line that is no event."""
        if not self.path.exists():
            self._events, self._ends, self._read_to = {}, {}, (-1, -1)
            return
        stat = self.path.stat()
        if (stat.st_size, stat.st_mtime_ns) == self._read_to:
            return
        with append_jsonl(self.path):
            pass  # a last line that an interruption tore is taken away: its event changed no file yet
        events: dict[int, Event] = {}
        ends: dict[int, bool] = {}
        # Git may have joined logs that one person kept on two computers: a number that comes again is another event.
        meant: dict[int, int] = {}
        for line, record in read_jsonl(self.path):
            if set(record) == {"end", "done"}:
                ends[meant.get(record["end"], record["end"])] = bool(record["done"])
                continue
            try:
                event = Event.model_validate(record)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"])) or "the line"
                sentence = f"{self.path}, line {line}: {place}: {first['msg']}; restore the file from git"
                raise KdslError(sentence) from error
            meant[event.number] = max(events) + 1 if event.number in events else event.number
            undoes = None if event.undoes is None else meant.get(event.undoes, event.undoes)
            number = meant[event.number]
            events[number] = event.model_copy(update={"number": number, "undoes": undoes})
        self._events, self._ends = events, ends
        self._note_size()

    @property
    def next_number(self) -> int:
        return max(self._events, default=0) + 1

    @property
    def unfinished(self) -> list[Event]:
        """Events without an end, the oldest first."""
        return [event for number, event in sorted(self._events.items()) if number not in self._ends]

    @property
    def done(self) -> list[Event]:
        """Events that happened, the oldest first."""
        return [event for number, event in sorted(self._events.items()) if self._ends.get(number)]

    def begin(self, event: Event) -> None:
        """Put the event on disk; raises KdslError when it cannot be, and then it never was."""
        self._append(event.model_dump(mode="json"))
        self._events[event.number] = event

    def end(self, number: int, done: bool) -> None:
        """Put on disk whether the event happened."""
        self._append({"end": number, "done": done})
        self._ends[number] = done

    def _append(self, record: dict[str, Any]) -> None:
        with append_jsonl(self.path) as append:
            append(record)
        try:
            sync(self.path)
        except OSError as error:
            raise KdslError(f"{self.path}: cannot be written to disk ({error.strerror}); free some space") from error
        self._note_size()

    def _note_size(self) -> None:
        stat = self.path.stat()
        self._read_to = (stat.st_size, stat.st_mtime_ns)


def journal_path(folder: Path, person: str) -> Path:
    """Where the log of a person lies in the rule base at `folder`."""
    return folder / FOLDER / f"{label_folder(person)}.jsonl"


def journal_paths(folder: Path) -> list[Path]:
    """The logs of all people in the rule base at `folder`."""
    return sorted((folder / FOLDER).glob("*.jsonl"))


def undoable(events: Sequence[Event]) -> list[Event]:
    """The events that can still be taken back, the oldest first; `events` as `Journal.done` gives them."""
    undone = {event.undoes for event in events if event.action == "undo"}
    return [event for event in events if event.action != "undo" and event.number not in undone]


def replay(events: Iterable[Event]) -> dict[str, str | None]:
    """What the log says that every file it speaks about holds now; None for a file that is gone."""
    return {change.file: change.after for event in events for change in event.changes}


def sync(path: Path) -> None:
    """Make what was written to a file, or renamed within a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
