"""What a reader put right, left out or did not use, counted, to be told once a file."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.data.media import Medium

_log = logging.getLogger(__name__)

_KEYS_TOLD = 5


@dataclass
class Noted:
    """How often something was met, and where first."""

    count: int
    first: str
    lost: Medium | None = None
    """What samples are without, so that `kdsl check` finds it; None where they are not the worse for it."""


@dataclass
class Notes:
    """Of one file."""

    other_tasks: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, Noted] = field(default_factory=dict)
    """What was left out or put right → how often."""
    unread: dict[tuple[str, str], Noted] = field(default_factory=dict)
    """(key, what to do) → the records that have it and may have lost by it a text, a label, images or an id."""
    unused: Counter[str] = field(default_factory=Counter)
    """Keys that mean nothing here → the records that have them; nothing is lost."""
    columns: dict[str, str] = field(default_factory=dict)
    """Form → which columns were taken to be what, where names alone do not tell."""

    def note(self, what: str, place: str, lost: Medium | None = None) -> None:
        noted = self.left_out.setdefault(what, Noted(0, place, lost))
        noted.count += 1

    def add(self, notes: "Notes") -> None:
        """What was left out or put right according to other notes, of a part of the same file."""
        for what, noted in notes.left_out.items():
            self.left_out.setdefault(what, Noted(0, noted.first, noted.lost)).count += noted.count

    def note_unread(self, key: str, remedy: str, place: str) -> None:
        noted = self.unread.setdefault((key, remedy), Noted(0, place))
        noted.count += 1

    def tell(self, path: str | Path) -> None:
        """Log a warning for each kind; keys that mean nothing are for `kdsl check` to tell."""
        for told in self.columns.values():
            _log.warning("%s: took %s; name the columns in data.columns if that is wrong", path, told)
        if self.other_tasks:
            kinds = ", ".join(f"{count} with {name}" for name, count in self.other_tasks.items())
            _log.warning("%s: %d samples of other tasks left out (%s)", path, self.other_tasks.total(), kinds)
        for what, noted in self.left_out.items():
            _log.warning("%s: %d %s, the first in %s", path, noted.count, what, noted.first)
        for (key, remedy), noted in list(self.unread.items())[:_KEYS_TOLD]:
            _log.warning(
                "%s: the key %r of %d samples is not read, the first in %s; %s",
                path, key, noted.count, noted.first, remedy,
            )  # fmt: skip
