"""The rule bases behind an open page: kept up to date, and changed only where a file is still what somebody saw."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import read_text
from kdsl.locks import held, require_locks
from kdsl.review.journal import (
    REMEDY,
    Action,
    Event,
    FileChange,
    Journal,
    journal_path,
    journal_paths,
    version_of,
)
from kdsl.rules.rule import Rule
from kdsl.rules.rule_file import parse_rule
from kdsl.rules.rule_files import named_after, rule_file_at, write_rule_text
from kdsl.rules.rulebase import RuleBase, RuleFile
from kdsl.text import normalise, writable


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule of a task as its file says, with what takes long to find out about it."""

    task: str
    file: RuleFile
    version: str
    """Of the file's text."""
    stale: bool
    search: str
    """Id, label, conditions and notes, normalised, for searching."""

    @classmethod
    def of(cls, task: str, file: RuleFile) -> "StoredRule":
        rule = file.rule
        search = normalise(f"{rule.id} {rule} {rule.notes}")
        return cls(task, file, version_of(file.text), rule.review.of not in ("", file.when), search)

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def text(self) -> str:
        return self.file.text

    @property
    def rule(self) -> Rule:
        return self.file.rule

    @property
    def when(self) -> str:
        """Hash of the conditions."""
        return self.file.when

    @property
    def approved(self) -> bool:
        """`rule.approved`, which takes long to find out."""
        return self.rule.status == "accepted" and not self.stale

    @property
    def open(self) -> bool:
        """Whether nobody has decided about the rule as it stands."""
        return self.rule.status == "proposed" or self.stale


@dataclass(frozen=True, slots=True)
class _View:
    """The rules of a task as they were at that generation of their base, by label and id."""

    generation: int
    by_id: dict[str, StoredRule]
    rules: list[StoredRule]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be changed: from the version that somebody looked at ("" for none) to a text (None deletes it)."""

    path: Path
    version: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does to a rule; see `Event`."""

    action: Action
    task: str
    rule: str
    wanted: Sequence[Wanted] = ()
    reason: str = ""
    undoes: int | None = None


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
    """The rule bases of some tasks and the log of what people did to them. Safe for threads and several processes."""

    def __init__(self, folder: Path, tasks: Sequence[str], now: Callable[[], datetime] = datetime.now) -> None:
        """Reads everything, and settles what an interruption left behind. Raises KdslError for a damaged log."""
        self.folder = folder
        self.tasks = tuple(tasks)
        self._now = now
        self._mutex = threading.RLock()
        self._bases = {task: RuleBase(folder, task) for task in tasks}
        self._views = {task: _View(0, {}, []) for task in tasks}
        self._journals: dict[Path, Journal] = {}
        self._unsettled: dict[Path, str] = {}
        require_locks("reviewing rules")
        folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            pass
        self.refresh()

    @property
    def generation(self) -> int:
        """Grows whenever a rule changes."""
        return sum(base.generation for base in self._bases.values())

    @property
    def problems(self) -> dict[Path, str]:
        """Rule files that are left out and left alone, logs that cannot be settled, and why."""
        with self._mutex:
            found = dict(self._unsettled)
            for base in self._bases.values():
                found |= base.problems
            return found

    def rules(self, task: str) -> list[StoredRule]:
        """All rules of a task, by label and id."""
        with self._mutex:
            return self._view(task).rules

    def get(self, task: str, id: str) -> StoredRule:
        """The rule with that id as its file is now; KdslError when there is none."""
        with self._mutex:
            known = self._view(task).by_id.get(id) if task in self._bases else None
            if known is not None and self._bases[task].changed_outside(known.path):
                self._refresh()
                known = self._view(task).by_id.get(id)
            if known is None:
                raise KdslError(f"{self.folder / task}: no rule has the id {id!r}; it may have been deleted outside")
            return known

    def _view(self, task: str) -> _View:
        """The rules as they are now; those whose files did not change are the same objects as before."""
        base, view = self._bases[task], self._views[task]
        if view.generation != base.generation:
            known = view.by_id
            by_id = {
                file.rule.id: stored
                if (stored := known.get(file.rule.id)) is not None and stored.file is file
                else StoredRule.of(task, file)
                for file in base.files
            }
            view = self._views[task] = _View(base.generation, by_id, list(by_id.values()))
        return view

    def new_file(self, task: str, rule: Rule) -> Path:
        """Where a new rule is to be written; KdslError where the base has it already, by the rule of `RuleBase`."""
        with self._mutex:
            base = self._bases[task]
            if (clash := base.clash(rule)) is not None:
                raise KdslError(clash)
            return base.path(rule)

    def refresh(self) -> bool:
        """Read the files that were made, changed or deleted outside; whether there were any."""
        # Nobody has to wait for a look at thousands of files that finds nothing.
        if not any(base.changed_outside() for base in self._bases.values()):
            return False
        with self._mutex:
            return self._refresh()

    def _refresh(self) -> bool:
        return any([base.refresh() for base in self._bases.values()])

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
        [event] = self.commit_together(by, [Act(action, task, rule, wanted, reason, undoes)])
        return event

    def commit_together(self, by: str, acts: Sequence[Act]) -> list[Event]:
        """Log an event for each act and change all files, or none; several are one decision, and so one undo.

        Raises what `commit` does.
        """
        with self._locked(to_write=True):
            changes = [tuple(self._change(each) for each in act.wanted) for act in acts]
            journal = self._journal(by)
            first = journal.next_number
            events = [
                Event(
                    number=first + i, at=self._now().isoformat(timespec="microseconds"), by=by, action=act.action,
                    task=act.task, rule=act.rule, reason=writable(act.reason), undoes=act.undoes,
                    together=first if len(acts) > 1 else None, changes=changed,
                )
                for i, (act, changed) in enumerate(zip(acts, changes, strict=True))
            ]  # fmt: skip
            for event in events:
                journal.begin(event)
            self._carry_out(journal, events)
            for event in events:
                self._take_in(event)
            return events

    def _change(self, wanted: Wanted) -> FileChange:
        """Raises StaleVersion where the file is another one by now, and KdslError where no rule would be there."""
        file = wanted.path.relative_to(self.folder).as_posix()
        now = _text(rule_file_at(self.folder, self.tasks, file))
        if version_of(now) != wanted.version:
            self._refresh()
            raise StaleVersion(wanted.path, now, wanted.text)
        change = FileChange(
            file=file, before=now, after=wanted.text,
            version_before=wanted.version, version_after=version_of(wanted.text),
        )  # fmt: skip
        self._require_rule(change)
        return change

    def _carry_out(self, journal: Journal, events: Sequence[Event]) -> None:
        """Change the files and end the events; where something cannot be written, put back what was changed.

        The log then holds events without an end, which are settled as ones that never happened. Where the end of
        some could be written and that of others could not, all files are as wanted, and so they are settled.
        """
        written = []
        try:
            for change in (change for event in events for change in event.changes):
                write_rule_text(self._place(change), change.after)
                written.append(change)
            journal.end(events[0].number, True)
        except KdslError:
            for change in reversed(written):
                if _text(self._place(change)) == change.after:
                    write_rule_text(self._place(change), change.before)
            raise
        for event in events[1:]:
            with suppress(KdslError):  # what happened is on disk: `_settle` ends it
                journal.end(event.number, True)

    def _take_in(self, event: Event) -> None:
        for task, base in self._bases.items():
            base.read([self._place(change) for change in event.changes if change.file.split("/")[0] == task])

    def _place(self, change: FileChange) -> Path:
        return rule_file_at(self.folder, self.tasks, change.file)

    def _require_rule(self, change: FileChange) -> str:
        """The id of the rule that is changed.

        Raises KdslError where that is not one rule, before and after, in a place for rules of this store.
        """
        path = self._place(change)
        texts = [text for text in (change.before, change.after) if text is not None]
        ids = {parse_rule(path, text).id for text in texts}
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
        """End what was interrupted: what reached one of its files reaches all, anything else never happened.

        That goes for an event, and for events that were decided together. A file that is neither as before nor as
        after was changed by somebody since, and is left alone.
        """
        ended = {event.together for event in journal.done} - {None}
        groups: dict[int, list[Event]] = {}
        for event in journal.unfinished:
            groups.setdefault(event.together or event.number, []).append(event)
        for first, events in groups.items():
            states = [(change, _text(self._place(change))) for event in events for change in event.changes]
            begun = first in ended or any(text == change.after for change, text in states)
            for change, text in states:
                if begun and text == change.before != change.after:
                    write_rule_text(self._place(change), change.after)
            for event in events:
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
