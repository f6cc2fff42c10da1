"""The rule base of one task: a folder of rule files that people and mining share."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.files import read_text, write_atomically
from kdsl.rules.rule import Rule, Status, rule_id
from kdsl.rules.rule_file import read_rule, rule_text
from kdsl.rules.statistics import StatisticsByRule, read_statistics, statistics_path
from kdsl.text import normalise

MINED = "mcts"
"""`provenance.source` of rules that mining found."""
ACTIVE: tuple[Status, ...] = ("accepted", "proposed")

_UNSAFE = re.compile(r'[%/\\:*?"<>|\x00-\x1f\x7f\ud800-\udfff]|^[. -]|[. ]$')
"""What file systems refuse or drop, and the hyphen of an option."""
_DEVICE = re.compile(r"(?:aux|con(?:in\$|out\$)?|nul|prn|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)
"""Names that Windows keeps for itself, with any ending."""
_LONGEST_NAME = 160
"""Bytes: file systems allow 255 a name."""


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

    @classmethod
    def load(cls, folder: Path, task: str) -> "RuleBase":
        """Read all rule files of a task; none where the folder does not exist.

        Raises KdslError for the first file that is not a rule, and for two files with the same rule id.
        """
        base = cls(folder, task)
        for path in rule_paths(folder, task):
            base._add(read_rule(path), path)
        return base

    def _add(self, rule: Rule, path: Path) -> None:
        if rule.id in self._paths:
            raise KdslError(f"{path}: the id {rule.id} is already that of {self._paths[rule.id]}; give one a new id")
        self._rules[rule.id] = rule
        self._paths[rule.id] = path

    @property
    def rules(self) -> list[Rule]:
        """All rules, by label and id."""
        return sorted(self._rules.values(), key=lambda rule: (rule.label, rule.id))

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
        """The file that the rule lies in, or would be written to."""
        default = self.folder / self.task / label_folder(rule.label) / f"{_slug(rule)}--{rule.id}.yaml"
        return self._paths.get(rule.id, default)

    def statistics(self) -> StatisticsByRule:
        """What mining measured, by rule id and hash of the conditions."""
        return read_statistics(statistics_path(self.folder, self.task))

    def save(self, rule: Rule) -> None:
        """Write one rule, into the file it was read from if there is one; comments in it are kept."""
        path = self.path(rule)
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
        """Merge what a new mining run found, without losing anything that a person decided.

        New rules are written. A rule whose conditions and label are in the base already, in whatever status, stays as
        it is, so a rejected one is not proposed again. Rules of earlier runs that nobody touched (proposed, no review,
        notes, tests, comments or edit) and that are not among `new_rules` are removed.
        """
        known = {(rule.label, rule.when_hash) for rule in self._rules.values()}
        found = {(rule.label, rule.when_hash) for rule in new_rules}
        # Somebody edited a mined rule whose first form is found again: the edit has its id, and stands for it.
        added = {
            (rule.label, rule.when_hash): rule
            for rule in new_rules
            if (rule.label, rule.when_hash) not in known and rule.id not in self._rules
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


def rule_paths(folder: Path, task: str) -> Iterator[Path]:
    """The rule files of a task in a fixed order."""
    return iter(sorted((folder / task).rglob("*.yaml")))


def label_folder(label: str) -> str:
    """A folder name for a label, another for each: what file systems refuse stands as %XX, long ones end in a hash.

    The label in the rule file is what counts; the folder is for finding it. Names of labels that differ in case alone
    do so too, and are one folder where the file system says so, which the rules' ids allow.
    """
    name = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", label)
    if _DEVICE.match(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_cut(name, _LONGEST_NAME - 18)}%~{digest}"


def _slug(rule: Rule) -> str:
    """A few words from the conditions, for people who look at file names."""
    words = []
    for condition in rule.conditions:
        text = (
            condition.terms[0] if condition.terms else condition.field if condition.comparison else condition.question
        )
        word = "-".join(re.findall(r"\w+", normalise(text or "")))
        words.append(f"not-{word}" if condition.negated else word)
    return _cut("-".join(word for word in words if word), 60).strip("-") or "rule"


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")


def _has_comment(text: str, rule: Rule) -> bool:
    return "#" in text and text != rule_text(rule)
