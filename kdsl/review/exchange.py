"""The rule base as a table, for people who do not use a browser; `importing` takes their decisions back."""

import csv
import io
import logging
from collections.abc import Sequence
from typing import Literal

from kdsl.data.spreadsheet import inert
from kdsl.project.project import Project
from kdsl.review.store import RuleStore, StoredRule
from kdsl.rules.statistics import (
    HeldOutCounts,
    StatisticsByRule,
    TrainingCounts,
    read_statistics,
    statistics_path,
    wilson_interval,
)
from kdsl.rules.wording import Language, rule_words

TableFormat = Literal["csv", "markdown"]

COLUMNS = (
    "task", "id", "label", "status", "rule", "training", "held out", "reliability", "notes", "version",
)  # fmt: skip
VERSION_MARK = "v"
"""Before the version, which a spreadsheet might take for a number: 1234567890123e45."""
_NONE = "n/a"

_log = logging.getLogger(__name__)


def export_rules(project: Project, format: TableFormat = "csv", language: Language = "en") -> str:
    """All rules of a project as a table, as `kdsl rules export` writes it; warns of files that are left out."""
    store = open_store(project)
    for sentence in store.problems.values():
        _log.warning("left out: %s", sentence)
    return (csv_table if format == "csv" else markdown)(store, language)


def open_store(project: Project) -> RuleStore:
    """The rule bases of a project's tasks and the log of what people did to them."""
    return RuleStore(project.config.rules, [task.name for task in project.tasks])


def csv_table(store: RuleStore, language: Language = "en") -> str:
    """All rules, one a row, in words of the language, with a byte order mark so that spreadsheets read Chinese.

    A cell that a spreadsheet would run or convert begins with an apostrophe.
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


def _row(stored: StoredRule, known: StatisticsByRule, language: Language) -> Sequence[str]:
    rule = stored.rule
    entry = known.get((rule.id, rule.when_hash))
    words = rule_words(rule.conditions, language)
    training = _NONE if entry is None else _counted(entry.training)
    held_out = _NONE if entry is None or entry.held_out is None else _counted(entry.held_out)
    reliability = _NONE if entry is None or entry.reliability is None else f"{entry.reliability:.2f}"
    return (stored.task, rule.id, rule.label, rule.status, words, training, held_out, reliability, rule.notes,
            VERSION_MARK + stored.version)  # fmt: skip


def _counted(counts: TrainingCounts | HeldOutCounts) -> str:
    if counts.hits == 0:
        return _NONE
    low, high = wilson_interval(counts.correct, counts.hits)
    return f"{counts.correct} of {counts.hits} ({low:.2f} to {high:.2f})"


def _plain(text: str) -> str:
    """Markdown that shows the text as it is."""
    escaped = "".join(f"\\{character}" if character in "\\`*_{}[]<>|#!~&" else character for character in text)
    return escaped.replace("\n", " ")
