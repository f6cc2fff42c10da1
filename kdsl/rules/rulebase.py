"""The rule base of one task: a folder of rule files that people, mining and the review page share."""

import logging
import os
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from kdsl.errors import Hint, KdslError
from kdsl.file_names import safe_name
from kdsl.files import Stamp, inside, stamp_of
from kdsl.locks import held
from kdsl.rules.finding import Check, Values, sentence
from kdsl.rules.rule import Rule, Status, rule_id
from kdsl.rules.rule_file import parse_rule, rule_text
from kdsl.rules.rule_files import (
    ids_in_broken,
    named_after,
    rule_file_name,
    rule_paths,
    rule_text_of,
    write_rule_text,
)
from kdsl.rules.statistics import StatisticsByRule, read_statistics, statistics_path
from kdsl.rules.table import RuleTable

MINED = "mcts"
"""`provenance.source` of rules that mining found."""
DRAFT = "draft"
"""`provenance.source` of rules that a model drafted; `provenance.proposer` is the model."""
ACTIVE: tuple[Status, ...] = ("accepted", "proposed")

_NOWHERE: Stamp = (0, 0, 0)
"""Of a link to a file that is not there."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RuleFile:
    """A rule and the file that it was read from."""

    path: Path
    text: str
    """The whole file, a byte order mark included."""
    rule: Rule

    @cached_property
    def when(self) -> str:
        """Hash of the conditions: `rule.when_hash`, which takes long to make."""
        return self.rule.when_hash


@dataclass(frozen=True)
class Double:
    """A rule whose id is another file's, as of copies that synchronised folders make."""

    file: RuleFile
    original: Path
    """The file that the id belongs to."""
    readable: bool
    """Whether the original can be read."""

    @property
    def check(self) -> Check:
        """The finding of lint that it is."""
        return "duplicate id" if self.readable else "unreadable original"

    @property
    def values(self) -> Values:
        return {"id": self.file.rule.id, "file": str(self.original)}


@dataclass(frozen=True, slots=True)
class MineReport:
    """What a new mining run did to the rule base."""

    added: tuple[Rule, ...]
    kept: tuple[Rule, ...]
    """Rules that were there before and still are."""
    removed: tuple[Rule, ...]


class RuleBase:
    """The rules in `folder`/`task`, each with the file it lies in. Changes are written at once.

    **Duplicates**, for everyone who reads, mines or reviews:

    - One id is one rule. Of several files with one id, the one that is named after it is the rule; of several such,
      the one in its label's folder. The others are `doubles`: told, left out, and left as they are. While the file
      that is named after an id cannot be read, no other one stands for it.
    - A rule is in the base already (`clash` says where) if a file that can be read, be it a double, has its id, or its
      label and conditions, with whatever status; if a file that cannot be read may hold its id; and if another file
      lies in its place. Mining passes such a rule over, the review page refuses it: what somebody decided stands.
    - An edit may make two rules equal. Both stay, and lint tells it.
    """

    def __init__(self, folder: Path, task: str) -> None:
        """Without the rules that there are: `refresh` reads them."""
        self.folder = folder
        self.task = task
        self.generation = 0
        """Grows whenever a rule or a problem changes."""
        self.unreadable: dict[Path, str] = {}
        """Files that cannot be read as rules, and a sentence each that says why and begins with the file."""
        self.doubles: dict[Path, Double] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._readable: dict[Path, RuleFile] = {}
        self._rules: dict[str, RuleFile] = {}
        self._sorted: list[RuleFile] | None = None
        self._by_conditions: dict[tuple[str, str], RuleFile] | None = None
        self._held_back: dict[str, Path] | None = None

    @classmethod
    def load(cls, folder: str | Path, task: str, problems: Literal["warn", "list", "raise"] = "warn") -> "RuleBase":
        """Read all rule files of a task; none where the folder does not exist.

        What to do about files that cannot be used: `warn` of them, once a command; only `list` them in `problems`; or
        `raise` KdslError for the first. Raises KdslError in any case where a folder cannot be looked into: nobody
        knows then what was decided there.
        """
        folder = Path(folder)
        base = cls(folder, task)
        with held(folder, shared=True):  # not while mining, or a decision, is in the middle of writing its files
            base.refresh()
        if base.problems and problems != "list":
            first = next(iter(base.problems.values()))
            if problems == "raise":
                raise KdslError(first)
            many = f"{len(base.problems)} rule files are" if len(base.problems) > 1 else "1 rule file is"
            _warn(f"{folder / task}: {many} left out: {first}; see `kdsl rules lint`")
        return base

    @property
    def files(self) -> list[RuleFile]:
        """All rules with their files, by label and id."""
        if self._sorted is None:
            self._sorted = sorted(self._rules.values(), key=_place)
        return self._sorted

    @property
    def rules(self) -> list[Rule]:
        """All rules, by label and id."""
        return [file.rule for file in self.files]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def table(self) -> RuleTable:
        """All rules with what mining measured about them, the most reliable of each label first."""
        return RuleTable(self.rules, self.statistics())

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.table._repr_html_()

    def by_label(self, label: str) -> list[Rule]:
        return [rule for rule in self.rules if rule.label == label]

    def active(self, statuses: Collection[Status] = ACTIVE) -> list[Rule]:
        """The rules with one of `statuses`, by label and id."""
        return [rule for rule in self.rules if rule.status in statuses]

    def file(self, id: str) -> RuleFile | None:
        """The rule with that id and its file; None when there is none."""
        return self._rules.get(id)

    def get(self, id: str) -> Rule:
        """The rule with that id; KdslError when there is none."""
        if id not in self._rules:
            raise KdslError(f"{self.folder / self.task}: no rule has the id {id!r}", Hint.RULES)
        return self._rules[id].rule

    def path(self, rule: Rule) -> Path:
        """The file that the rule lies in, or would be written to; KdslError where a link leads out of the folder."""
        known = self._rules.get(rule.id)
        return inside(self.folder, f"{self.task}/{rule_file_name(rule)}") if known is None else known.path

    @property
    def problems(self) -> dict[Path, str]:
        """The files that are left out, by path: a sentence each that begins with the file."""
        doubles = {path: f"{path}: {sentence(each.check, each.values)}" for path, each in self.doubles.items()}
        return dict(sorted({**self.unreadable, **doubles}.items()))

    def statistics(self) -> StatisticsByRule:
        """What mining measured, by rule id and hash of the conditions."""
        return read_statistics(statistics_path(self.folder, self.task))

    def changed_outside(self, path: Path | None = None) -> bool:
        """Whether files, or the one at `path`, were made, changed or deleted since they were read.

        Only looks; safe beside a thread that reads.
        """
        if path is not None:
            return _stamp(path) != self._stamps.get(path)
        return self._on_disk() != dict(self._stamps)

    def refresh(self) -> bool:
        """Read the files that were made, changed or deleted since; whether there were any."""
        found = self._on_disk()
        changed = {path for path in found.keys() | self._stamps if found.get(path) != self._stamps.get(path)}
        self.read(changed)
        return bool(changed)

    def read(self, paths: Collection[Path]) -> None:
        """Read these files of the task again, whether or not they look changed."""
        if not paths:
            return
        before = [self._readable.get(path) for path in sorted(paths)]
        for path in sorted(paths):
            self._read(path)
        after = [file for path in sorted(paths) if (file := self._readable.get(path)) is not None]
        in_place = [_place(file) for file in after] == [file and _place(file) for file in before]
        if in_place and not self.doubles and not self.unreadable:
            for file in after:
                self._replace(file)
        else:
            self._sort_out()

    def _replace(self, file: RuleFile) -> None:
        """Put a new form of a rule, with the same id and label, where the old one stands: that spares sorting all."""
        files = self.files
        at = bisect_left(files, _place(file), key=_place)
        self._rules[file.rule.id] = file
        self._note_change()
        self._sorted = [*files[:at], file, *files[at + 1 :]]

    def _on_disk(self) -> dict[Path, Stamp]:
        found = {path: _stamp(path) for path in rule_paths(self.folder, self.task)}
        return {path: stamp for path, stamp in found.items() if stamp is not None}

    def _read(self, path: Path) -> None:
        """Read a file, or forget it where it is gone."""
        self._forget(path)
        stamp = _stamp(path)  # before the text: a change in between is seen the next time
        if stamp is None:
            return
        self._stamps[path] = stamp
        try:
            text = rule_text_of(self.folder, path)
            self._readable[path] = RuleFile(path, text, parse_rule(path, text))
        except KdslError as error:
            self.unreadable[path] = str(error)

    def _forget(self, path: Path) -> None:
        for known in (self._stamps, self._readable, self.unreadable):
            known.pop(path, None)

    def _sort_out(self) -> None:
        """Tell the rules from their doubles."""
        rules: dict[str, RuleFile] = {}
        for file in self._readable.values():
            other = rules.get(file.rule.id)
            if other is None or _standing(file) < _standing(other):
                rules[file.rule.id] = file
        broken = {id: path for path in sorted(self.unreadable) if (id := named_after(path)) is not None}
        self.doubles = {}
        for path, file in self._readable.items():
            id = file.rule.id
            if id in broken:
                self.doubles[path] = Double(file, broken[id], readable=False)
            elif rules[id] is not file:
                self.doubles[path] = Double(file, rules[id].path, readable=True)
        self._rules = {id: file for id, file in rules.items() if id not in broken}
        self._note_change()

    def _note_change(self) -> None:
        self._sorted = self._by_conditions = self._held_back = None
        self.generation += 1

    def clash(self, rule: Rule) -> str | None:
        """Why the rule cannot be added, in a sentence that begins with the file in its way; None where it can.

        Raises KdslError where a link would lead the rule out of the folder.
        """
        if self._by_conditions is None:
            doubles = [each.file for each in self.doubles.values()]
            self._by_conditions = {(file.rule.label, file.when): file for file in (*doubles, *self.files)}
        if self._held_back is None:
            self._held_back = {id: path for path in sorted(self.unreadable) for id in ids_in_broken(path)}
        same = self._rules.get(rule.id) or self._by_conditions.get((rule.label, rule.when_hash))
        if same is not None:
            return f"{same.path}: is this rule already ({same.rule.status}); change that one instead"
        if rule.id in self._held_back:
            return f"{self._held_back[rule.id]}: cannot be read, and holds rule {rule.id}; mend that file"
        return self._in_its_place(rule)

    def _in_its_place(self, rule: Rule) -> str | None:
        """What stands in the place of a rule that is not in the base."""
        path = self.path(rule)
        if os.path.lexists(path):
            return f"{path}: is there already, and is not rule {rule.id} as it was read; mend or rename it"
        return None

    def save(self, rule: Rule) -> None:
        """Write one rule, into the file it was read from if there is one; comments in it are kept.

        Raises KdslError, and writes nothing, where the file was changed since it was read, and where another file is
        in the place of a new rule.
        """
        known, path = self._rules.get(rule.id), self.path(rule)
        if known is None and (clash := self._in_its_place(rule)) is not None:
            raise KdslError(clash)
        previous = rule_text_of(self.folder, path) if known is not None and path.exists() else None
        if known is not None and previous not in (None, known.text):
            raise KdslError(f"{path}: was changed since it was read, so rule {rule.id} is not saved; read it again")
        text = rule_text(rule, previous)
        if previous is None or text != previous.removeprefix("\ufeff"):
            write_rule_text(path, text)
            self._forget(path)
            self._stamps[path] = stamp_of(path) or _NOWHERE
            self._readable[path] = self._rules[rule.id] = RuleFile(path, text, rule)
            self._after_writing()

    def remove(self, rule: Rule) -> None:
        """Delete a rule and its file, and the label's folder when it is the last in it."""
        self.get(rule.id)
        path = self._rules.pop(rule.id).path
        write_rule_text(path, None)
        self._forget(path)
        self._after_writing()
        try:
            if path.parent != self.folder / self.task and path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()
        except OSError as error:
            raise KdslError(f"{path.parent}: cannot be deleted ({error.strerror}); you need write access") from error

    def _after_writing(self) -> None:
        """`_rules` is what it should be, where there is nothing that could stand for or against a rule."""
        if self.doubles or self.unreadable:
            self._sort_out()
        else:
            self._note_change()

    def update_mined(self, new_rules: Sequence[Rule]) -> MineReport:
        """Merge what a new mining run found, without losing anything that a person decided, in the meantime too.

        New rules are written, but for those that `clash`: a rule that is in the base already stays as it is, so a
        rejected one is not proposed again, and one that somebody edited stands for the form it was found in. Rules of
        earlier runs that nobody touched (proposed, no review, notes, tests, comments or edit) and that are not among
        `new_rules` are removed.
        """
        with held(self.folder):  # `kdsl review` holds it while it writes
            self.refresh()
            found = {(rule.label, rule.when_hash) for rule in new_rules}
            before = self.files
            gone = [
                file.rule for file in before if (file.rule.label, file.when) not in found and not self._touched(file)
            ]
            lost = {rule.id for rule in gone}
            kept = tuple(file.rule for file in before if file.rule.id not in lost)
            added = {(rule.label, rule.when_hash): rule for rule in new_rules if self.clash(rule) is None}
            for rule in added.values():
                self.save(rule)
            for rule in gone:
                self.remove(rule)
            return MineReport(tuple(added.values()), kept, tuple(gone))

    def _touched(self, file: RuleFile) -> bool:
        """Whether a person wrote, decided or changed anything about the rule, in this moment too."""
        rule = file.rule
        decided = rule.provenance.source != MINED or rule.status != "proposed"
        noted = any((rule.review.by, rule.review.at, rule.review.of, rule.notes, rule.tests.hit, rule.tests.miss))
        edited = rule_id(self.task, rule.label, rule.conditions) != rule.id
        return decided or noted or edited or _has_comment(file) or rule_text_of(self.folder, file.path) != file.text


@cache
def _warn(sentence: str) -> None:
    """Once, however often a command reads the rules."""
    _log.warning("%s", sentence)


def _stamp(path: Path) -> Stamp | None:
    return stamp_of(path) or (_NOWHERE if path.is_symlink() else None)


def _place(file: RuleFile) -> tuple[str, str]:
    """What rules are sorted by."""
    return file.rule.label, file.rule.id


def _standing(file: RuleFile) -> tuple[bool, bool, int, Path]:
    """Of files with one id the least is the rule; a copy's name is the original's and something more."""
    path, rule = file.path, file.rule
    return named_after(path) != rule.id, path.parent.name != safe_name(rule.label), len(path.name), path


def _has_comment(file: RuleFile) -> bool:
    return "#" in file.text and file.text.removeprefix("\ufeff") != rule_text(file.rule)
