"""Rule files for a page that stays open: indexed, kept fresh, changed only while they are what somebody looked at."""

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import read_text, write_atomically
from kdsl.locks import held, require_locks
from kdsl.review.dataset import Stamp, stamp_of
from kdsl.review.journal import (
    REMEDY,
    Action,
    Event,
    FileChange,
    Journal,
    journal_path,
    journal_paths,
    sync,
    version_of,
)
from kdsl.rules.rule import Rule
from kdsl.rules.rule_file import parse_rule
from kdsl.rules.rule_files import RuleFiles, named_after, rule_file_at, rule_paths, rule_text_of, sorted_out
from kdsl.text import normalise, writable

_NOWHERE: Stamp = (0, 0, 0)
"""Of a link to a file that is not there."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as its file says, and the version of the file that it was read from."""

    task: str
    path: Path
    text: str
    version: str
    rule: Rule
    when: str
    """Hash of the conditions: `rule.when_hash`, which takes long to make."""
    stale: bool
    search: str
    """Id, label, conditions and notes, normalised, for searching."""

    @classmethod
    def of(cls, task: str, path: Path, text: str, rule: Rule) -> "StoredRule":
        when = rule.when_hash
        search = normalise(f"{rule.id} {rule} {rule.notes}")
        return cls(task, path, text, version_of(text), rule, when, rule.review.of not in ("", when), search)

    @property
    def approved(self) -> bool:
        """`rule.approved`, which takes long to find out."""
        return self.rule.status == "accepted" and not self.stale


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be changed: from the version that somebody looked at ("" for none) to a text (None deletes it)."""

    path: Path
    version: str
    text: str | None


class StaleVersion(KdslError):
    """Somebody changed the file since: nothing was written."""

    def __init__(self, path: Path, now: str | None, wanted: str | None) -> None:
        super().__init__(f"{path}: was changed since you opened it, so nothing was saved; look at the difference")
        self.path = path
        self.now = now
        """The file's present text, None where it is gone."""
        self.wanted = wanted
        """The text that would have been saved."""


class RuleStore:
    """The rule files of some tasks and the log of what people did to them. Safe for threads and several processes."""

    def __init__(self, folder: Path, tasks: Sequence[str], now: Callable[[], datetime] = datetime.now) -> None:
        """Reads everything, and settles what an interruption left behind. Raises KdslError for a damaged log."""
        self.folder = folder
        self.tasks = tuple(tasks)
        self.generation = 0
        """Grows whenever a rule changes."""
        self._now = now
        self._mutex = threading.RLock()
        self._stamps: dict[str, dict[Path, Stamp]] = {task: {} for task in tasks}
        self._read: dict[str, dict[Path, StoredRule]] = {task: {} for task in tasks}
        self._unreadable: dict[str, dict[Path, str]] = {task: {} for task in tasks}
        self._files: dict[str, RuleFiles] = {task: RuleFiles({}) for task in tasks}
        self._rules: dict[str, dict[str, StoredRule]] = {task: {} for task in tasks}
        self._sorted: dict[str, tuple[int, list[StoredRule]]] = {}
        self._journals: dict[Path, Journal] = {}
        self._unsettled: dict[Path, str] = {}
        require_locks("reviewing rules")
        folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            pass
        self.refresh()

    @property
    def problems(self) -> dict[Path, str]:
        """Rule files that are left out and left alone, logs that cannot be settled, and why."""
        with self._mutex:
            found = dict(self._unsettled)
            for files in self._files.values():
                found |= files.problems
            return found

    def held_back(self, task: str) -> set[str]:
        """Ids of the rules that there are, but in files that cannot be read."""
        return self._files[task].held_back()

    def rules(self, task: str) -> list[StoredRule]:
        """All rules of a task, by label and id."""
        with self._mutex:
            generation, known = self._sorted.get(task, (-1, []))
            if generation != self.generation:
                known = sorted(self._rules[task].values(), key=lambda stored: (stored.rule.label, stored.rule.id))
                self._sorted[task] = self.generation, known
            return known

    def get(self, task: str, id: str) -> StoredRule:
        """The rule with that id as its file is now; KdslError when there is none."""
        with self._mutex:
            known = self._rules.get(task, {}).get(id)
            if known is not None and stamp_of(known.path) != self._stamps[task].get(known.path):
                self._refresh()
                known = self._rules[task].get(id)
            if known is None:
                raise KdslError(f"{self.folder / task}: no rule has the id {id!r}; it may have been deleted outside")
            return known

    def refresh(self) -> bool:
        """Read the files that were made, changed or deleted outside; whether there were any."""
        with self._mutex:
            known = {task: dict(stamps) for task, stamps in self._stamps.items()}
        # Nobody has to wait for a look at thousands of files that finds nothing.
        if all(self._found(task) == known[task] for task in self.tasks):
            return False
        with self._mutex:
            return self._refresh()

    def _refresh(self) -> bool:
        before = self.generation
        for task in self.tasks:
            self._refresh_task(task)
        return self.generation != before

    def _found(self, task: str) -> dict[Path, Stamp]:
        found = {path: stamp_of(path) for path in rule_paths(self.folder, task)}
        return {path: stamp or _NOWHERE for path, stamp in found.items() if stamp or path.is_symlink()}

    def _refresh_task(self, task: str) -> None:
        found = self._found(task)
        stamps = self._stamps[task]
        changed = {path for path, stamp in found.items() if stamps.get(path) != stamp}
        gone = stamps.keys() - found.keys()
        if not changed and not gone:
            return
        for path in gone | changed:
            self._look_at(task, path)
        self._sort_out(task)

    def _look_at(self, task: str, path: Path) -> None:
        """Read a file again; forget it where it is gone."""
        stamp = stamp_of(path) or (_NOWHERE if path.is_symlink() else None)
        for known in (self._stamps, self._read, self._unreadable):
            known[task].pop(path, None)
        if stamp is None:
            return
        self._stamps[task][path] = stamp
        try:
            text = rule_text_of(self.folder, path)
            rule = parse_rule(path, text.removeprefix("\ufeff"))
        except KdslError as error:
            self._unreadable[task][path] = str(error)
        else:
            self._read[task][path] = StoredRule.of(task, path, text, rule)

    def _sort_out(self, task: str) -> None:
        """Tell the rules from files that are left out."""
        read = self._read[task]
        files = sorted_out({path: stored.rule for path, stored in read.items()}, dict(self._unreadable[task]))
        self._files[task] = files
        self._rules[task] = {rule.id: read[path] for path, rule in files.rules.items()}
        self.generation += 1

    def _replace(self, task: str, stored: StoredRule, before: int) -> None:
        """Put the new form of a rule where the old one stands in the list of the generation `before`, if there is one.

        That spares sorting thousands.
        """
        generation, known = self._sorted.get(task, (-1, []))
        key = stored.rule.label, stored.rule.id
        at = bisect_left(known, key, key=lambda each: (each.rule.label, each.rule.id))
        if generation != before or at == len(known) or known[at].rule.id != stored.rule.id:
            return
        self._sorted[task] = self.generation, [*known[:at], stored, *known[at + 1 :]]

    def commit(
        self,
        by: str,
        action: Action,
        task: str,
        rule: str,
        wanted: Sequence[Wanted] = (),
        reason: str = "",
        undoes: int | None = None,
    ) -> Event:
        """Log the event and change all files, or none: everything is on disk when this returns.

        Raises StaleVersion when one of the files is not what `wanted` says it was, KdslError when the disk refuses and
        for what is not a rule in the place of one.
        """
        with self._locked(to_write=True):
            changes = []
            for each in wanted:
                file = each.path.relative_to(self.folder).as_posix()
                now = _text(rule_file_at(self.folder, self.tasks, file))
                if version_of(now) != each.version:
                    self._refresh()
                    raise StaleVersion(each.path, now, each.text)
                change = FileChange(
                    file=file, before=now, after=each.text,
                    version_before=each.version, version_after=version_of(each.text),
                )  # fmt: skip
                self._require_rule(change)
                changes.append(change)
            journal = self._journal(by)
            event = Event(
                number=journal.next_number, at=self._now().isoformat(timespec="microseconds"), by=by, action=action,
                task=task, rule=rule, reason=writable(reason), undoes=undoes,
                changes=tuple(changes),
            )  # fmt: skip
            journal.begin(event)
            self._carry_out(journal, event)
            self._take_in(event)
            return event

    def _carry_out(self, journal: Journal, event: Event) -> None:
        """Change the files and end the event; where something cannot be written, put back what was changed.

        The log then holds an event without an end, which is settled as one that never happened.
        """
        written = []
        try:
            for change in event.changes:
                _put(self._place(change), change.after)
                written.append(change)
            journal.end(event.number, True)
        except KdslError:
            for change in reversed(written):
                if _text(self._place(change)) == change.after:
                    _put(self._place(change), change.before)
            raise

    def _take_in(self, event: Event) -> None:
        before = self.generation
        for change in event.changes:
            self._look_at(change.file.split("/")[0], self.folder / change.file)
        for task in dict.fromkeys(change.file.split("/")[0] for change in event.changes):
            self._sort_out(task)
        if len(event.changes) == 1 and event.rule in self._rules[event.task]:
            self._replace(event.task, self._rules[event.task][event.rule], before)

    def _place(self, change: FileChange) -> Path:
        return rule_file_at(self.folder, self.tasks, change.file)

    def _require_rule(self, change: FileChange) -> str:
        """The id of the rule that is changed.

        Raises KdslError where that is not one rule, before and after, in a place for rules of this store.
        """
        path = self._place(change)
        texts = [text for text in (change.before, change.after) if text is not None]
        ids = {parse_rule(path, text.removeprefix("\ufeff")).id for text in texts}
        if len(ids) != 1 or (len(texts) == 1 and ids != {named_after(path)}):
            raise KdslError(f"{change.file[:80]!r} must be named after the one rule that it holds")
        return ids.pop()

    def _require_rules(self, journal: Journal) -> None:
        """Refuse a log with an unfinished event that would change anything but rules; nothing of it is carried out."""
        for event in journal.unfinished:
            try:
                ids = {self._require_rule(change) for change in event.changes}
                if ids and event.rule and event.rule not in ids:
                    raise KdslError(f"an event about rule {event.rule[:80]!r} must change it")
            except KdslError as error:
                raise KdslError(f"{journal.place(event)}: {error}; {REMEDY}") from error

    def _settle(self, journal: Journal) -> None:
        """End what was interrupted: an event that reached one of its files reaches all, any other never happened.

        A file that is neither as before nor as after was changed by somebody since, and is left alone.
        """
        for event in journal.unfinished:
            states = [(change, _text(self._place(change))) for change in event.changes]
            begun = any(text == change.after for change, text in states)
            for change, text in states:
                if begun and text == change.before != change.after:
                    _put(self._place(change), change.after)
            journal.end(event.number, begun)

    def journal(self, person: str) -> list[Event]:
        """What the person did, the oldest first."""
        with self._locked():
            return self._journal(person).done

    def history(self, rule: str | None = None) -> list[Event]:
        """What all people did, to one rule or to all, the oldest first."""
        with self._locked():
            events = [
                event
                for journal in self._journals.values()
                for event in journal.done
                if rule is None or _concerns(event, rule)
            ]
            return sorted(events, key=lambda event: (event.at, event.by, event.number))

    def _journal(self, person: str) -> Journal:
        if not person.strip():
            raise KdslError("who decides has no name; give one with --as NAME")
        path = journal_path(self.folder, person)
        return self._journals.setdefault(path, Journal(path))

    @contextmanager
    def _locked(self, to_write: bool = False) -> Iterator[None]:
        """Keeps other threads and other processes out of files and logs, and settles what was interrupted.

        Where the disk is too full for that, one can still read: `problems` says so.
        """
        with self._mutex, held(self.folder):
            for path in sorted({*self._journals, *journal_paths(self.folder)}):
                journal = self._journals.setdefault(path, Journal(path))
                journal.refresh()
                self._require_rules(journal)
            for path, journal in self._journals.items():
                try:
                    self._settle(journal)
                    self._unsettled.pop(path, None)
                except KdslError as error:
                    if to_write:
                        raise
                    self._unsettled[path] = str(error)
            yield


def _concerns(event: Event, rule: str) -> bool:
    return event.rule == rule or any(change.file.endswith(f"--{rule}.yaml") for change in event.changes)


def _text(path: Path) -> str | None:
    """The file's exact text, None where there is none; errors of `read_text`."""
    return read_text(path, keep_mark=True) if os.path.lexists(path) else None


def _put(path: Path, text: str | None) -> None:
    """Make the file hold `text`, or be gone, on disk."""
    if text is not None:
        write_atomically(path, text)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise KdslError(f"{path}: cannot be deleted ({error.strerror}); you need write access there") from error
    if path.parent.is_dir():
        sync(path.parent)
