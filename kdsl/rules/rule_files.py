"""The rule files of a task: what they are called, which there are, and their text, safely read and written."""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.file_names import cut_name, safe_name
from kdsl.files import inside, read_bytes, read_text, sync, write_atomically
from kdsl.rules.rule import Rule
from kdsl.text import normalise

_ID = r"r-[0-9a-z]{4,16}"
_OWN_NAME = re.compile(rf"--({_ID})\.yaml$")
_NAMED = re.compile(rf"--({_ID})(?![0-9a-z])")
_WRITTEN = re.compile(rf"^id:[ \t]*[\"']?({_ID})\b".encode(), re.MULTILINE)


def ids_in_broken(path: Path) -> set[str]:
    """Ids of the rules that a file which cannot be read may hold: those in its name, else those in its text."""
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


def write_rule_text(path: Path, text: str | None) -> None:
    """Make a rule file hold exactly `text`, or be gone where that is None; on disk when this returns.

    Raises KdslError where it cannot be written or deleted; it is then as it was.
    """
    if text is not None:
        write_atomically(path, text)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise KdslError(f"{path}: cannot be deleted ({error.strerror}); you need write access there") from error
    if path.parent.is_dir():
        sync(path.parent)


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
