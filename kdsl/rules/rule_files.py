"""The rule files of a task: what they are called, which there are, and which of them cannot be used."""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.file_names import cut_name, safe_name
from kdsl.files import inside, read_bytes, read_text
from kdsl.rules.rule import Rule
from kdsl.rules.rule_file import parse_rule
from kdsl.text import normalise

_ID = r"r-[0-9a-z]{4,16}"
_OWN_NAME = re.compile(rf"--({_ID})\.yaml$")
_NAMED = re.compile(rf"--({_ID})(?![0-9a-z])")
_WRITTEN = re.compile(rf"^id:[ \t]*[\"']?({_ID})\b".encode(), re.MULTILINE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RuleFiles:
    """What stands in the rule files of one task; a file is in one of the three."""

    rules: Mapping[Path, Rule]
    unreadable: Mapping[Path, str] = field(default_factory=dict)
    """What is no rule, and why."""
    doubles: Mapping[Path, tuple[Rule, str]] = field(default_factory=dict)
    """Rules whose id is another file's, as of copies that synchronised folders make, and a sentence saying whose."""

    @property
    def problems(self) -> dict[Path, str]:
        """What is left out, a sentence each that begins with the file."""
        return {**self.unreadable, **{path: sentence for path, (_, sentence) in self.doubles.items()}}

    def held_back(self) -> set[str]:
        """Ids of rules that there are, but in files that cannot be read: what is decided there is not known."""
        return {id for path in self.unreadable for id in _ids_in(path)}

    def tell(self, place: Path) -> None:
        """Warn, once a command, of files of the task at `place` that are left out."""
        if self.problems:
            many = f"{len(self.problems)} rule files are" if len(self.problems) > 1 else "1 rule file is"
            _warn(f"{place}: {many} left out: {next(iter(self.problems.values()))}; see `kdsl rules lint`")


@cache
def _warn(sentence: str) -> None:
    """However often a command reads the rules."""
    _log.warning("%s", sentence)


def read_rule_files(folder: Path, task: str) -> RuleFiles:
    """Read all rule files of a task in the rule base at `folder`; none where there is no such folder.

    A file that cannot be used is told in the result. Raises KdslError where a folder cannot be looked into: nobody
    knows then what was decided there.
    """
    rules: dict[Path, Rule] = {}
    unreadable: dict[Path, str] = {}
    for path in rule_paths(folder, task):
        try:
            rules[path] = parse_rule(path, rule_text_of(folder, path).removeprefix("\ufeff"))
        except KdslError as error:
            unreadable[path] = str(error)
    return sorted_out(rules, unreadable)


def sorted_out(rules: Mapping[Path, Rule], unreadable: Mapping[Path, str]) -> RuleFiles:
    """Which of files with one id is the rule: the one named after it, of several the one in its label's folder.

    While the file that is named after an id cannot be read, no other one stands for it.
    """
    first: dict[str, Path] = {}
    for path, rule in rules.items():
        other = first.get(rule.id)
        if other is None or _standing(path, rule) < _standing(other, rules[other]):
            first[rule.id] = path
    broken = {id: path for path in unreadable if (id := named_after(path)) is not None}
    doubles = {}
    for path, rule in rules.items():
        if rule.id in broken:
            sentence = f"the id {rule.id} is that of {broken[rule.id]}, which cannot be read; mend that one"
            doubles[path] = rule, f"{path}: {sentence}"
        elif first[rule.id] != path:
            sentence = f"the id {rule.id} is already that of {first[rule.id]}; give one a new id"
            doubles[path] = rule, f"{path}: {sentence}"
    return RuleFiles({path: rule for path, rule in rules.items() if path not in doubles}, unreadable, doubles)


def _standing(path: Path, rule: Rule) -> tuple[bool, bool, int, Path]:
    """The least is the rule; a copy's name is the original's and something more."""
    return named_after(path) != rule.id, path.parent.name != safe_name(rule.label), len(path.name), path


def _ids_in(path: Path) -> set[str]:
    """The rules that a broken file may hold, by its name, or by its own word."""
    if named := _NAMED.findall(path.name):
        return set(named)
    try:
        return {match.decode() for match in _WRITTEN.findall(read_bytes(path))}
    except KdslError:
        return set()  # nothing to be read, and no rule in the name: there is nothing to hold back


def rule_text_of(folder: Path, path: Path) -> str:
    """The exact text of a rule file, a byte order mark included.

    Raises KdslError where it cannot be read, and where a link leads out of the rule base.
    """
    if path.is_symlink():
        inside(folder, path.relative_to(folder).as_posix())
        if path.is_dir():
            raise KdslError(f"{path}: is a link to a folder, which is not followed; put the rule files there")
    return read_text(path, keep_mark=True)


def rule_paths(folder: Path, task: str) -> Iterator[Path]:
    """The rule files of a task in a fixed order: all that end in .yaml, but for hidden files and folders.

    What editors, systems and version control leave is hidden, as is what is being written. Links to folders are among
    them, to be told: they are not followed. KdslError where a folder cannot be looked into, or the task's leads out of
    the rule base.
    """
    return (path for path in files_of(folder, task) if path.suffix == ".yaml" or path.is_dir())


def files_of(folder: Path, task: str) -> Iterator[Path]:
    """All files in the folder of a task that are not hidden; see `rule_paths`."""
    return _visible(inside(folder, task))


def _visible(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise KdslError(f"{folder}: cannot be read ({error.strerror}); rules may be there") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _visible(folder / entry.name)
        else:
            yield folder / entry.name


def is_rule_file(file: str) -> bool:
    """Whether a path relative to the rule base, with forward slashes, has the form of a rule file of some task."""
    parts = file.split("/")
    return len(parts) > 1 and file.endswith(".yaml") and not any(not part or part.startswith(".") for part in parts)


def rule_file_at(folder: Path, tasks: Collection[str], file: str) -> Path:
    """The place of a rule file of one of the `tasks` that a log names, as `is_rule_file` takes it.

    Raises KdslError for what is no such file, and where a link leads somewhere else.
    """
    if not is_rule_file(file) or file.split("/")[0] not in tasks:
        raise KdslError(f"{file[:80]!r} is no rule file of {', '.join(tasks)}")
    path = inside(folder, file)
    for parent in path.parents[: file.count("/") - 1]:
        if parent.is_symlink():
            raise KdslError(f"{file[:80]!r} lies below a link, {parent}; put the rule files there")
    return path


def named_after(path: Path) -> str | None:
    """The id of the rule that the file is named after."""
    match = _OWN_NAME.search(path.name)
    return match[1] if match else None


def rule_file_name(rule: Rule) -> str:
    """`<label>/<slug>--<id>.yaml`, in the folder of the task."""
    return f"{safe_name(rule.label)}/{_slug(rule)}--{rule.id}.yaml"


def _slug(rule: Rule) -> str:
    """A few words from the conditions, for people who look at file names."""
    words = []
    for condition in rule.conditions:
        text = (
            condition.terms[0] if condition.terms else condition.field if condition.comparison else condition.question
        )
        word = "-".join(re.findall(r"\w+", normalise(text or "")))
        words.append(f"not-{word}" if condition.negated else word)
    return cut_name("-".join(word for word in words if word), 60).strip("-") or "rule"
