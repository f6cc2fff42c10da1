"""What is known besides samples, in passages: labels, accepted rules, a folder of Markdown and JSON Lines."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.files import inside, read_text
from kdsl.json_file import read_jsonl
from kdsl.rules.rule import Rule
from kdsl.sample import Task
from kdsl.small.wording import CHINESE, wording_of

LONGEST = 400
"""Characters of a passage; longer sections are cut between paragraphs, longer paragraphs where they are full."""

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passage:
    """One thing that is known."""

    title: str
    text: str
    source: str
    """Where it stands: `label`, `rule r-…`, or file and line."""

    @property
    def whole(self) -> str:
        return f"{self.title}：{self.text}" if self.title else self.text


def label_passages(task: Task) -> list[Passage]:
    """The labels that have a description."""
    return [Passage(label.name, label.description, "label") for label in task.labels if label.description]


def rule_passages(task: Task, rules: Sequence[Rule]) -> list[Passage]:
    """The accepted ones of the rules, as sentences in the language of the task's labels."""
    wording = wording_of(task)
    sentence = "如果{rule}，就是{label}。" if wording is CHINESE else "If {rule}, it is {label}."
    return [
        Passage("", sentence.format(rule=wording.rule(rule.conditions), label=wording.quoted.format(rule.label)),
                f"rule {rule.id}")
        for rule in rules
        if rule.status == "accepted"
    ]  # fmt: skip


def read_knowledge(folder: Path) -> list[Passage]:
    """All passages of the `.md` and `.jsonl` files below `folder`, in the order of their paths.

    Markdown is cut at its headings, which become titles; a line of JSON holds `text` and, if there is one, `title`, or
    `question` and `answer`. Files of other kinds are counted in a warning. Raises KdslError for a folder that is not
    there or holds nothing, for a line of another shape, and for a link that leads out of the folder.
    """
    if not folder.is_dir():
        raise KdslError(f"{folder}: no such folder; name the folder of your Markdown and JSON Lines as data.knowledge")
    files = [path for path in sorted(folder.rglob("*")) if not path.is_dir() and not _hidden(path, folder)]
    known = [path for path in files if path.suffix.lower() in (".md", ".jsonl")]
    if len(known) < len(files):
        other = next(path for path in files if path not in known)
        _log.warning(
            "%s: %d files are neither Markdown nor JSON Lines and are left out, the first being %s",
            folder, len(files) - len(known), other.relative_to(folder),
        )  # fmt: skip
    for path in known:
        inside(folder, path.relative_to(folder).as_posix())
    passages = [
        passage
        for path in known
        for passage in (_markdown(path, folder) if path.suffix.lower() == ".md" else _json_lines(path, folder))
    ]
    if not passages:
        raise KdslError(f"{folder}: holds no knowledge; put Markdown (.md) or JSON Lines (.jsonl) there")
    return passages


def _hidden(path: Path, folder: Path) -> bool:
    """What editors, systems and version control leave."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _markdown(path: Path, folder: Path) -> Iterator[Passage]:
    titles: list[str] = []
    levels: list[int] = []
    section: list[str] = []
    begun, fence = 1, ""
    lines = read_text(path).splitlines()
    for number, line in enumerate([*lines, "# "], start=1):
        marks = _FENCE.match(line)
        if marks and fence in ("", marks[1]):
            fence = "" if fence else marks[1]
        heading = None if fence and number <= len(lines) else _HEADING.fullmatch(line)
        if heading is None:
            section.append(line)
            continue
        for text in _cut("\n".join(section)):
            yield Passage(" > ".join(filter(None, titles)), text, f"{path.relative_to(folder)}, line {begun}")
        while levels and levels[-1] >= len(heading[1]):
            levels.pop()
            titles.pop()
        levels.append(len(heading[1]))
        titles.append((heading[2] or "").strip())
        section, begun = [], number


def _json_lines(path: Path, folder: Path) -> Iterator[Passage]:
    for number, record in read_jsonl(path):
        title = _text(path, number, record, "question" if "question" in record else "title", "")
        text = _text(path, number, record, "answer" if "question" in record else "text", None)
        for part in _cut(text):
            yield Passage(title, part, f"{path.relative_to(folder)}, line {number}")


def _text(path: Path, number: int, record: dict[str, Any], key: str, default: str | None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        found = f"{key} is {value!r}" if key in record else f"there is no {key}"
        raise KdslError(
            f'{path}, line {number}: {found[:80]}; expected {{"title": "…", "text": "…"}}, the title if there is one, '
            'or {"question": "…", "answer": "…"}'
        )
    return value.strip()


def _cut(text: str) -> Iterator[str]:
    """Parts of at most `LONGEST` characters, paragraphs together as far as they fit."""
    part = ""
    for paragraph in (p.strip() for p in re.split(r"\n\s*\n", text)):
        joined = f"{part}\n{paragraph}" if part else paragraph
        if len(joined) <= LONGEST:
            part = joined
            continue
        if part:
            yield part
        while len(paragraph) > LONGEST:
            yield paragraph[:LONGEST]
            paragraph = paragraph[LONGEST:]
        part = paragraph
    if part:
        yield part
