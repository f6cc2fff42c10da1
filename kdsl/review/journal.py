"""The append-only log of what people decided: one JSONL file a person, so that git merges them without conflicts.

A decision is two lines: the event with the texts of all files before and after it, on disk before any file changes,
and its end, on disk after they all have. An event without an end was interrupted; `RuleStore` settles it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kdsl.errors import KdslError
from kdsl.file_names import safe_name
from kdsl.files import is_there
from kdsl.json_file import append_durably, append_jsonl, read_jsonl
from kdsl.record_file import as_record
from kdsl.rules.rule_files import is_rule_file

JOURNAL_FOLDER = "reviews"
"""Lies in the folder of the rule base: reviews/<person>.jsonl."""

Action = Literal[
    "accept", "reject", "propose", "disable", "skip", "note", "edit", "new", "merge", "pin", "import", "undo"
]


_MOST = 1_000_000_000
"""Events that are numbered in one log."""
REMEDY = "restore the file from git, or take the line out"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileChange(_Part):
    """One file of an event: its text before and after, None where there is no file."""

    file: str
    """Relative to the folder of the rule base, with forward slashes."""
    before: str | None
    after: str | None
    version_before: str
    """First 16 hex digits of the SHA-256 of the file, empty without a file."""
    version_after: str

    @field_validator("file")
    @classmethod
    def _file(cls, file: str) -> str:
        if not is_rule_file(file):
            raise ValueError(f"{file[:80]!r} is not the place of a rule file")
        return file

    @model_validator(mode="after")
    def _versions(self) -> "FileChange":
        if (self.version_before, self.version_after) != (version_of(self.before), version_of(self.after)):
            raise ValueError("the versions are not those of the texts")
        return self


class Event(_Part):
    """Who did what, when, on which version of which files."""

    number: int = Field(ge=1, le=_MOST)
    """Counts from 1 within the person's log."""
    at: str
    by: str
    action: Action
    task: str
    rule: str
    reason: str = ""
    undoes: int | None = Field(None, ge=1, le=_MOST)
    """Number of the event, of the same person, that this one takes back."""
    together: int | None = Field(None, ge=1, le=_MOST)
    """Number of the first of the events that were decided together with this one; None for a decision of its own."""
    changes: Annotated[tuple[FileChange, ...], Field(strict=False)] = ()

    @field_validator("changes")
    @classmethod
    def _changes(cls, changes: tuple[FileChange, ...]) -> tuple[FileChange, ...]:
        if len({change.file for change in changes}) < len(changes):
            raise ValueError("a file is changed twice")
        return changes


class _End(_Part):
    """Whether the event with that number happened."""

    end: int
    done: bool


class Journal:
    """The log of one person. Not safe for several writers by itself: `RuleStore` holds a lock around every use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to: tuple[int, int] = (-1, -1)
        self._events: dict[int, Event] = {}
        self._ends: dict[int, bool] = {}
        self._lines: dict[int, int] = {}

    def refresh(self) -> None:
        """Take in what other processes, or git, wrote.

        Raises KdslError for a log that is a link, and for a line that is no event of the person whose log it is.
        """
        self._require_own()
        if not is_there(self.path):
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
        lines: dict[int, int] = {}
        for line, record in read_jsonl(self.path, REMEDY):
            place = f"{self.path}, line {line}"
            if "end" in record:
                end = as_record(_End, record, place, REMEDY)
                ends[meant.get(end.end, end.end)] = end.done
                continue
            event = as_record(Event, record, place, REMEDY)
            if _same(journal_name(event.by)) != _same(self.path.name):
                raise KdslError(f"{place}: is by {event.by[:60]!r}, whose log this is not; {REMEDY}")
            meant[event.number] = max(events) + 1 if event.number in events else event.number
            undoes = None if event.undoes is None else meant.get(event.undoes, event.undoes)
            together = None if event.together is None else meant.get(event.together, event.together)
            number = meant[event.number]
            events[number] = event.model_copy(update={"number": number, "undoes": undoes, "together": together})
            lines[number] = line
        self._events, self._ends, self._lines = events, ends, lines
        self._note_size()

    @property
    def next_number(self) -> int:
        number = max(self._events, default=0) + 1
        if number > _MOST:
            raise KdslError(f"{self.path}: an event has the number {number - 1}, after which none can come; {REMEDY}")
        return number

    def place(self, event: Event) -> str:
        """File and line of an event; the file alone for one that this process has just put there."""
        line = self._lines.get(event.number)
        return f"{self.path}, line {line}" if line else str(self.path)

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
        left_out = {"together"} if event.together is None else set()
        self._append(event.model_dump(mode="json", exclude=left_out))
        self._events[event.number] = event

    def end(self, number: int, done: bool) -> None:
        """Put on disk whether the event happened."""
        self._append({"end": number, "done": done})
        self._ends[number] = done

    def _require_own(self) -> None:
        """A link may lead anywhere, and what is added to the log would be added there."""
        if self.path.is_symlink() or self.path.parent.is_symlink():
            link = self.path if self.path.is_symlink() else self.path.parent
            raise KdslError(f"{link}: is a link; logs must lie in the rule base themselves")

    def _append(self, record: dict[str, Any]) -> None:
        self._require_own()
        append_durably(self.path, record)
        self._note_size()

    def _note_size(self) -> None:
        stat = self.path.stat()
        self._read_to = (stat.st_size, stat.st_mtime_ns)


def journal_path(folder: Path, person: str) -> Path:
    """Where the log of a person lies in the rule base at `folder`."""
    return folder / JOURNAL_FOLDER / journal_name(person)


def journal_name(person: str) -> str:
    return f"{safe_name(person)}.jsonl"


def _same(name: str) -> str:
    """Equal for names that file systems take for one: some fold letter case, some decompose characters."""
    return normalize("NFC", name).casefold()


def journal_paths(folder: Path) -> list[Path]:
    """The logs of all people in the rule base at `folder`; hidden files are none."""
    return sorted(path for path in (folder / JOURNAL_FOLDER).glob("*.jsonl") if not path.name.startswith("."))


def version_of(text: str | None) -> str:
    """16 hex digits that change with the text; empty without one."""
    return "" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def undoable(events: Sequence[Event]) -> list[Event]:
    """The events that can still be taken back, the oldest first; `events` as `Journal.done` gives them."""
    undone = {event.undoes for event in events if event.action == "undo"}
    return [event for event in events if event.action != "undo" and event.number not in undone]


def decided_together(events: Sequence[Event], event: Event) -> list[Event]:
    """Those of `events` that were decided with `event`, which is one of them, the oldest first."""
    if event.together is None:
        return [event]
    return [each for each in events if each.together == event.together]


def replay(events: Iterable[Event]) -> dict[str, str | None]:
    """What the log says that every file it speaks about holds now; None for a file that is gone."""
    return {change.file: change.after for event in events for change in event.changes}
