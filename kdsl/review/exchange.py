"""The rule base as a table for people who will not open a browser, and their decisions back from it."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from kdsl.errors import KdslError
from kdsl.files import read_text
from kdsl.review.journal import Event
from kdsl.review.store import RuleStore, StoredRule, Wanted
from kdsl.review.wording import Language, rule_words
from kdsl.rules.rule import Review, Status
from kdsl.rules.rule_file import rule_text
from kdsl.rules.statistics import (
    HeldOutCounts,
    StatisticsByRule,
    TrainingCounts,
    read_statistics,
    statistics_path,
    wilson_interval,
)
from kdsl.spreadsheet import active, inert

COLUMNS = (
    "task", "id", "label", "status", "rule", "training", "held out", "reliability", "notes", "version",
)  # fmt: skip
_NEEDED = ("task", "id", "status", "notes", "version")
_VERSION = "v"
"""Before the version, which a spreadsheet might take for a number: 1234567890123e45."""
_NONE = "n/a"
_SPREADSHEET = "gb18030"
"""What spreadsheets with a Chinese surface save CSV in, unless told otherwise."""
_STATUS_WORDS: dict[str, Status] = {
    "接受": "accepted", "已接受": "accepted", "拒绝": "rejected", "已拒绝": "rejected", "待定": "proposed",
    "停用": "disabled", "已停用": "disabled",
}  # fmt: skip


def csv_table(store: RuleStore, language: Language = "en") -> str:
    """All rules, one a row, in words of the language, with a byte order mark so that spreadsheets read Chinese.

    A cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(COLUMNS)
    for task in store.tasks:
        known = read_statistics(statistics_path(store.folder, task))
        for stored in store.rules(task):
            writer.writerow([inert(cell) for cell in _row(stored, known, language)])
    return "\ufeff" + output.getvalue()


def markdown(store: RuleStore, language: Language = "en") -> str:
    """All rules by task and label, in words."""
    lines = ["# Rules"]
    for task in store.tasks:
        known = read_statistics(statistics_path(store.folder, task))
        label = None
        for stored in store.rules(task):
            if label is None:
                lines += ["", f"## {task}"]
            if stored.rule.label != label:
                label = stored.rule.label
                lines += ["", f"### {_plain(label)}", "", "| id | status | rule | training | held out | notes |",
                          "|---|---|---|---|---|---|"]  # fmt: skip
            _, id, _, status, words, training, held_out, _, notes, _ = _row(stored, known, language)
            lines.append("| " + " | ".join(map(_plain, (id, status, words, training, held_out, notes))) + " |")
    return "\n".join(lines) + "\n"


def import_csv(store: RuleStore, path: Path, by: str) -> Event | None:
    """Take over statuses and notes that differ, as one event; None where nothing differs.

    Takes what spreadsheets make of the table too: semicolons or tabs, GB 18030, capitals, the page's Chinese words.
    Raises KdslError, and changes nothing, for the first row that names no rule or no status, or a rule that was
    changed since the export.
    """
    wanted = []
    task = ""
    text, lossy = _text(path)
    for line, row in _rows(path, text):
        place = f"{path}, line {line}"
        if row["task"] not in store.tasks:
            raise KdslError(f"{place}: the project has no task {row['task']!r}; it has {', '.join(store.tasks)}")
        stored = next((each for each in store.rules(row["task"]) if each.rule.id == row["id"]), None)
        if stored is None:
            raise KdslError(f"{place}: {row['task']} has no rule with the id {row['id']!r}; export again")
        written, notes = row["status"].strip(), _lines(row["notes"])
        status = _STATUS_WORDS.get(written, written.lower())
        if status not in get_args(Status):
            raise KdslError(f"{place}: the status is {written!r}; it must be one of {', '.join(get_args(Status))}")
        known = _lines(stored.rule.notes)
        if lossy and notes == known.encode("gbk", "replace").decode("gbk"):
            notes = known  # 😊 came back as ?, which nobody wrote
        if (status, notes) == (stored.rule.status, known):
            continue
        if row["version"].removeprefix(_VERSION) != stored.version:
            raise KdslError(f"{place}: {row['id']} was changed since the export; export again and decide anew")
        wanted.append(_wanted(stored, status, notes, by))
        task = row["task"]
    if len({each.path for each in wanted}) < len(wanted):
        raise KdslError(f"{path}: has two rows for one rule; keep one of them")
    return store.commit(by, "import", task, "", wanted, path.name) if wanted else None


def _wanted(stored: StoredRule, status: str, notes: str, by: str) -> Wanted:
    rule = stored.rule.model_copy(update={"status": status, "notes": notes})
    if status != stored.rule.status:
        review = Review(by=by, at=datetime.now().isoformat(timespec="seconds"), of=rule.when_hash)
        rule = rule.model_copy(update={"review": review})
    return Wanted(stored.path, stored.version, rule_text(rule, stored.text.removeprefix("\ufeff")))


def _text(path: Path) -> tuple[str, bool]:
    """The table, and whether it went through an encoding that knows Chinese but not every character."""
    try:
        return read_text(path), False
    except KdslError:
        try:
            return path.read_bytes().decode(_SPREADSHEET), True
        except (OSError, UnicodeDecodeError):
            pass
        raise


def _rows(path: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    header = text.partition("\n")[0]
    delimiter = next((each for each in ",;\t" if f"task{each}" in header or f'task"{each}' in header), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        header = next(reader, [])
        missing = [name for name in _NEEDED if name not in header]
        if missing:
            raise KdslError(f"{path}, line 1: no column {missing[0]!r}; edit what `kdsl rules export` wrote")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise KdslError(f"{path}, line {reader.line_num}: has {len(cells)} cells, the header {len(header)}")
            rows.append((reader.line_num, dict(zip(header, map(active, cells), strict=True))))
    except csv.Error as error:
        raise KdslError(f"{path}, line {reader.line_num}: not a CSV table ({error})") from error
    return rows


def _row(stored: StoredRule, known: StatisticsByRule, language: Language) -> Sequence[str]:
    rule = stored.rule
    entry = known.get((rule.id, rule.when_hash))
    words = rule_words(rule.conditions, language)
    training = _NONE if entry is None else _counted(entry.training)
    held_out = _NONE if entry is None or entry.held_out is None else _counted(entry.held_out)
    reliability = _NONE if entry is None or entry.reliability is None else f"{entry.reliability:.2f}"
    return (stored.task, rule.id, rule.label, rule.status, words, training, held_out, reliability, rule.notes,
            _VERSION + stored.version)  # fmt: skip


def _counted(counts: TrainingCounts | HeldOutCounts) -> str:
    if counts.hits == 0:
        return _NONE
    low, high = wilson_interval(counts.correct, counts.hits)
    return f"{counts.correct} of {counts.hits} ({low:.2f} to {high:.2f})"


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _plain(text: str) -> str:
    """Markdown that shows the text as it is."""
    escaped = "".join(f"\\{character}" if character in "\\`*_{}[]<>|#!~&" else character for character in text)
    return escaped.replace("\n", " ")
