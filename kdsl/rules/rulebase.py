"""The rule base of one task: a folder of rule files that people and mining share."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import inside, read_text, write_atomically
from kdsl.locks import held
from kdsl.rules.rule import Rule, Status, rule_id
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rule_files import RuleFiles, read_rule_files, rule_file_name
from kdsl.rules.statistics import StatisticsByRule, read_statistics, statistics_path
from kdsl.rules.table import RuleTable

MINED = "mcts"
"""`provenance.source` of rules that mining found."""
ACTIVE: tuple[Status, ...] = ("accepted", "proposed")


@dataclass(frozen=True, slots=True)
class MineReport:
    """What a new mining run did to the rule base."""

    added: tuple[Rule, ...]
    kept: tuple[Rule, ...]
    """Rules that were there before and still are."""
    removed: tuple[Rule, ...]


class RuleBase:
    """The rules in `folder`/`task`, each with the file it lies in. Changes are written at once."""

    def __init__(self, folder: Path, task: str) -> None:
        self.folder = folder
        self.task = task
        self._rules: dict[str, Rule] = {}
        self._paths: dict[str, Path] = {}
        self._files = RuleFiles({})

    @classmethod
    def load(cls, folder: str | Path, task: str) -> "RuleBase":
        """Read all rule files of a task; none where the folder does not exist.

        Files that cannot be used, by `read_rule_files`, are left out with a counted warning. Raises KdslError where a
        folder cannot be looked into.
        """
        folder = Path(folder)
        base = cls(folder, task)
        with held(folder, shared=True):  # not while mining, or a decision, is in the middle of writing its files
            base._read()
        base._files.tell(folder / task)
        return base

    def _read(self) -> None:
        self._files = read_rule_files(self.folder, self.task)
        self._rules = {rule.id: rule for rule in self._files.rules.values()}
        self._paths = {rule.id: path for path, rule in self._files.rules.items()}

    @property
    def rules(self) -> list[Rule]:
        """All rules, by label and id."""
        return sorted(self._rules.values(), key=lambda rule: (rule.label, rule.id))

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

    def get(self, id: str) -> Rule:
        """The rule with that id; KdslError when there is none."""
        if id not in self._rules:
            raise KdslError(f"{self.folder / self.task}: no rule has the id {id!r}; `kdsl rules list` shows all ids")
        return self._rules[id]

    def path(self, rule: Rule) -> Path:
        """The file that the rule lies in, or would be written to; KdslError where a link leads out of the folder."""
        known = self._paths.get(rule.id)
        return known or inside(self.folder, f"{self.task}/{rule_file_name(rule)}")

    def statistics(self) -> StatisticsByRule:
        """What mining measured, by rule id and hash of the conditions."""
        return read_statistics(statistics_path(self.folder, self.task))

    def save(self, rule: Rule) -> None:
        """Write one rule, into the file it was read from if there is one; comments in it are kept.

        Raises KdslError where what is in the file cannot be read, or is another rule.
        """
        path = self.path(rule)
        if rule.id not in self._paths and os.path.lexists(path):
            raise KdslError(f"{path}: is there already, and is not rule {rule.id} as it was read; mend or rename it")
        previous = read_text(path) if path.exists() else None
        text = rule_text(rule, previous)
        if text != previous:
            write_atomically(path, text)
        self._rules[rule.id] = rule
        self._paths[rule.id] = path

    def remove(self, rule: Rule) -> None:
        """Delete a rule and its file, and the label's folder when it is the last in it."""
        path = self._paths.pop(self.get(rule.id).id)
        del self._rules[rule.id]
        try:
            path.unlink(missing_ok=True)
            if path.parent != self.folder / self.task and not any(path.parent.iterdir()):
                path.parent.rmdir()
        except OSError as error:
            raise KdslError(f"{path}: cannot be deleted ({error.strerror}); you need write access there") from error

    def update_mined(self, new_rules: Sequence[Rule]) -> MineReport:
        """Merge what a new mining run found, without losing anything that a person decided, in the meantime too.

        New rules are written. A rule whose conditions and label are in the base already, in whatever status, stays as
        it is, so a rejected one is not proposed again; nor is one whose file cannot be read. Rules of earlier runs
        that nobody touched (proposed, no review, notes, tests, comments or edit) and that are not among `new_rules`
        are removed.
        """
        with held(self.folder):  # `kdsl review` holds it while it writes
            self._read()
            return self._merge_mined(new_rules)

    def _merge_mined(self, new_rules: Sequence[Rule]) -> MineReport:
        held_back = self._files.held_back()
        known = {(rule.label, rule.when_hash) for rule in self._rules.values()}
        found = {(rule.label, rule.when_hash) for rule in new_rules}
        # Somebody edited a mined rule whose first form is found again: the edit has its id, and stands for it.
        added = {
            (rule.label, rule.when_hash): rule
            for rule in new_rules
            if (rule.label, rule.when_hash) not in known
            and rule.id not in self._rules
            and rule.id not in held_back
            and not os.path.lexists(self.path(rule))
        }
        gone = [rule for rule in self.rules if (rule.label, rule.when_hash) not in found and not self._touched(rule)]
        lost = {rule.id for rule in gone}
        kept = tuple(rule for rule in self.rules if rule.id not in lost)
        for rule in added.values():
            self.save(rule)
        for rule in gone:
            self.remove(rule)
        return MineReport(tuple(added.values()), kept, tuple(gone))

    def _touched(self, rule: Rule) -> bool:
        """Whether a person wrote, decided or changed anything about the rule."""
        decided = rule.provenance.source != MINED or rule.status != "proposed"
        noted = any((rule.review.by, rule.review.at, rule.review.of, rule.notes, rule.tests.hit, rule.tests.miss))
        edited = rule_id(self.task, rule.label, rule.conditions) != rule.id
        return decided or noted or edited or _has_comment(read_text(self._paths[rule.id]), rule)


def _has_comment(text: str, rule: Rule) -> bool:
    return "#" in text and text != rule_text(rule)
