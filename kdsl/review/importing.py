"""Decisions that people wrote into the exported table, taken back: all of them, or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast, get_args
from unicodedata import category

from kdsl.data.charset import USUAL, decodings, marked
from kdsl.data.spreadsheet import garbled, read_rows, replaced
from kdsl.errors import KdslError
from kdsl.files import read_bytes
from kdsl.project.project import Project
from kdsl.review.exchange import VERSION_MARK, open_store
from kdsl.review.journal import Event
from kdsl.review.reviewer import reviewer_name
from kdsl.review.store import RuleStore, StoredRule, Wanted
from kdsl.rules.rule import Review, Status
from kdsl.rules.rule_file import rule_text
from kdsl.rules.wording import Language, rule_words

_NEEDED = ("task", "id", "status", "notes", "version")
_STATUS_WORDS: dict[str, Status] = {
    "接受": "accepted", "已接受": "accepted", "拒绝": "rejected", "已拒绝": "rejected", "待定": "proposed",
    "停用": "disabled", "已停用": "disabled",
}  # fmt: skip
_SAVE = "save the table as UTF-8 (in Excel: CSV UTF-8) and import that"

_NO_CHARACTERS = "\ufffd\ufffe\uffff"
"""What stands where something could not be read."""

_Rules = Mapping[tuple[str, str], StoredRule]
"""By task and id."""


@dataclass(frozen=True)
class _Change:
    """A row that says something else than its rule does."""

    line: int
    stored: StoredRule
    status: Status
    notes: str


@dataclass(frozen=True)
class _Reading:
    """What the table says in one encoding, or why it can't be that."""

    encoding: str
    changes: tuple[_Change, ...] = ()
    problem: str = ""


def import_rules(project: Project, path: Path, by: str | None = None) -> int:
    """What `import_csv` does, of a project, as `kdsl rules import` does it; how many rules changed.

    `by` is who decides, the user by default.
    """
    event = import_csv(open_store(project), path, reviewer_name(by))
    return 0 if event is None else len(event.changes)


def import_csv(store: RuleStore, path: Path, by: str) -> Event | None:
    """Take over statuses and notes that differ, as one event; None where nothing differs.

    Takes what spreadsheets make of the table: other delimiters, capitals, the page's Chinese words, and any encoding
    in which the labels and conditions are those that went out. Raises KdslError, and changes nothing, for the first
    row that names no rule or no status, whose label or conditions are others, whose rule was changed since the export,
    or whose notes the labels and conditions leave two ways to read.
    """
    rules = {(task, stored.rule.id): stored for task in store.tasks for stored in store.rules(task)}
    changes = _changes(store, path, rules)
    if not changes:
        return None
    wanted = [_wanted(change, by) for change in changes]
    return store.commit(by, "import", changes[-1].stored.task, "", wanted, path.name)


def _changes(store: RuleStore, path: Path, rules: _Rules) -> tuple[_Change, ...]:
    data = read_bytes(path)
    sure = marked(data)
    if sure is not None:
        try:
            text = data.decode(sure).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise KdslError(
                f"{path}: byte {error.start} is not {error.encoding}, as its first bytes say; {_SAVE}"
            ) from error
        return _only(_read(store, path, rules, sure, text, lossless=True))
    readings = [
        _read(store, path, rules, encoding, text, lossless=encoding.startswith("utf") and not text.isascii())
        for encoding, text in decodings(data)
    ]
    possible = [reading for reading in readings if not reading.problem]
    # What can be UTF-8 is UTF-8, but that short texts look like it by chance: then another encoding changes nothing.
    if readings[0].encoding == "utf_8" and (not readings[0].changes or all(each.changes for each in possible)):
        return _only(readings[0])
    if not possible:
        return _only(_likely(path, rules, data, readings))
    for other in possible[1:]:
        if other.changes != possible[0].changes:
            raise KdslError(f"{path}{_difference(possible[0], other)}, and nothing else tells which it is; {_SAVE}")
    return possible[0].changes


def _only(reading: _Reading) -> tuple[_Change, ...]:
    if reading.problem:
        raise KdslError(reading.problem)
    return reading.changes


def _read(store: RuleStore, path: Path, rules: _Rules, encoding: str, text: str, lossless: bool) -> _Reading:
    """Ends at the first row that cannot be what went out: in a wrong encoding, that is one of the first.

    `lossless` where the file was surely written in an encoding that has all characters.
    """
    changes = []
    seen = set()
    try:
        for line, row in read_rows(path, text, _NEEDED):
            place = f"{path}, line {line}"
            if row["task"] not in store.tasks:
                raise KdslError(f"{place}: the project has no task {row['task']!r}; it has {', '.join(store.tasks)}")
            stored = rules.get((row["task"], row["id"]))
            if stored is None:
                raise KdslError(f"{place}: {row['task']} has no rule with the id {row['id']!r}; export again")
            if stored.path in seen:
                raise KdslError(f"{place}: a second row for {row['id']}; keep one of the two")
            seen.add(stored.path)
            change = _change(place, line, row, stored, encoding, lossless)
            if change is not None:
                changes.append(change)
    except KdslError as error:
        return _Reading(encoding, problem=str(error))
    return _Reading(encoding, tuple(changes))


def _change(
    place: str, line: int, row: Mapping[str, str], stored: StoredRule, encoding: str, lossless: bool
) -> _Change | None:
    """What the row changes about its rule; raises KdslError for a row that cannot come from the rule's."""
    rule = stored.rule
    current = row["version"].removeprefix(VERSION_MARK) == stored.version
    if current:
        for column, known in _went_out(stored):
            if column in row and _plain(row[column]) not in map(_plain, known):
                raise KdslError(f"{place}: {_another(column, row[column], known[0], rule.id, encoding)}")
    written, notes, known_notes = row["status"].strip(), _lines(row["notes"]), _lines(rule.notes)
    status = _STATUS_WORDS.get(written, written.lower())
    if status not in get_args(Status):
        raise KdslError(f"{place}: the status is {written!r}; it must be one of {', '.join(get_args(Status))}")
    if replaced(known_notes, notes):
        notes = known_notes  # 😊 came back as ?, which nobody wrote
    if (status, notes) == (rule.status, known_notes):
        return None
    if not current:
        raise KdslError(f"{place}: {rule.id} was changed since the export; export again and decide anew")
    if notes != known_notes:
        _check_notes(place, known_notes, notes, lossless)
    return _Change(line, stored, cast(Status, status), notes)


def _check_notes(place: str, known: str, notes: str, lossless: bool) -> None:
    lost = {character for character in known if not character.isascii() and character not in notes}
    if garbled(known, notes) or (not lossless and lost and notes.count("?") > known.count("?")):
        raise KdslError(f"{place}: {notes[:60]!r} for {known[:60]!r} looks like a wrong encoding; {_SAVE}")
    odd = [each for each in notes if each not in known and (category(each) == "Cc" or each in _NO_CHARACTERS)]
    if set(odd) - set("\n\t"):
        raise KdslError(f"{place}: the notes {notes[:60]!r} hold characters that nobody writes; {_SAVE}")


def _went_out(stored: StoredRule) -> list[tuple[str, Sequence[str]]]:
    """(column, what the export says there) of the text that nobody may change."""
    words = [rule_words(stored.rule.conditions, language) for language in get_args(Language)]
    return [("label", [stored.rule.label]), ("rule", words)]


def _another(column: str, cell: str, known: str, id: str, encoding: str) -> str:
    said = f"the {column} is {cell[:60]!r}, that of {id} is {known[:60]!r}"
    if not garbled(known, cell):
        return f"{said}; only status and notes can be changed in the table"
    through = "another encoding" if encoding.startswith("utf") else encoding
    return f"{said}: the table was saved in {through}, which cannot hold that; {_SAVE}"


def _likely(path: Path, rules: _Rules, data: bytes, readings: Sequence[_Reading]) -> _Reading:
    """The reading in whose encoding most of what went out can be recognised, be it with question marks in it."""

    def recognised(encoding: str) -> int:
        count = 0
        try:
            for _, row in read_rows(path, data.decode(encoding), _NEEDED):
                stored = rules.get((row["task"], row["id"]))
                if stored is not None:
                    for column, known in [*_went_out(stored), ("notes", [stored.rule.notes])]:
                        cell = row.get(column, "")
                        count += any(cell == each or replaced(each, cell) for each in known)
        except KdslError:
            pass
        return count

    usual = [reading for reading in readings if reading.encoding in USUAL]
    return max(usual or readings, key=lambda reading: recognised(reading.encoding))


def _difference(one: _Reading, two: _Reading) -> str:
    """Where two readings say different things first."""
    lines = {each.line: each for each in one.changes}, {each.line: each for each in two.changes}
    first = min(line for line in {**lines[0], **lines[1]} if lines[0].get(line) != lines[1].get(line))
    said = [
        f"{(at[first].notes if first in at else 'what the rule says')[:60]!r} in {reading.encoding}"
        for at, reading in zip(lines, (one, two), strict=True)
    ]
    return f", line {first}: the notes are {said[0]} and {said[1]}"


def _wanted(change: _Change, by: str) -> Wanted:
    stored = change.stored
    rule = stored.rule.model_copy(update={"status": change.status, "notes": change.notes})
    if change.status != stored.rule.status:
        review = Review(by=by, at=datetime.now().isoformat(timespec="seconds"), of=rule.when_hash)
        rule = rule.model_copy(update={"review": review})
    return Wanted(stored.path, stored.version, rule_text(rule, stored.text))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _plain(text: str) -> str:
    """Spaces and line breaks are what editors and spreadsheets change without being asked."""
    return " ".join(text.split())
