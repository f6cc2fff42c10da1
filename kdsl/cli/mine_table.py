"""The tables and JSON records that `kdsl mine` prints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kdsl.cli.console import results_console
from kdsl.mining.archive import Archive
from kdsl.mining.miner import ALL_SAMPLES, FoundRule, MiningProblem
from kdsl.project.mining import MinedTask
from kdsl.rules.rule import Rule
from kdsl.rules.statistics import RuleStatistics

NOT_AVAILABLE = "n/a"


@dataclass(frozen=True)
class FoundRow:
    """One rule of a single search."""

    rule: str
    hits: int
    correct: int
    reliability: float | None
    """None where the task was never mined as a whole, which is what estimates it."""

    def record(self) -> dict[str, Any]:
        return asdict(self)


def search_rows(problem: MiningProblem, found: Sequence[FoundRule], archive: Archive | None) -> list[FoundRow]:
    """The rules of one search, the most reliable first, or as they were found."""
    everyone = problem.members(ALL_SAMPLES)
    rows = []
    for rule in found:
        shown = problem.shown(rule, everyone)
        reliability = None if archive is None else round(float(archive.reliability.estimate([shown])[0]), 4)
        words = " and ".join(map(str, rule.written(problem.vocabulary)))
        rows.append(FoundRow(words, shown.hits, shown.correct, reliability))
    return sorted(rows, key=lambda row: -(row.reliability or 0.0))


def print_search(task: str, label: str, rows: Sequence[FoundRow]) -> None:
    table = _table(f"{task}: {label}", "rule", ">training", ">reliability")
    for row in rows:
        reliability = NOT_AVAILABLE if row.reliability is None else f"{row.reliability:.2f}"
        table.add_row(Text(row.rule), f"{row.correct}/{row.hits}", reliability)
    results_console().print(table if rows else escape(f"{task}: no rule for {label}."))


def record(result: MinedTask) -> dict[str, Any]:
    """What mining a task did, as `kdsl mine --format json` prints it."""
    return {
        "task": result.task.name,
        "rules": str(result.base.folder / result.base.task),
        "archive": str(result.archive),
        "added": [rule.id for rule in result.report.added],
        "removed": [rule.id for rule in result.report.removed],
        "kept": [rule.id for rule in result.report.kept],
        "labels": [
            {"label": label, "samples": samples, "rules": n_rules, "best": None if best is None else _best(*best)}
            for label, samples, n_rules, best in _rows(result)
        ],
    }


def _best(rule: Rule, entry: RuleStatistics) -> dict[str, Any]:
    return {"id": rule.id, "rule": _words(rule), **entry.model_dump(include={"training", "held_out", "reliability"})}


def print_result(result: MinedTask) -> None:
    """One row a label: how many rules, and the best of them."""
    table = _table(
        result.task.name, "label", ">samples", ">rules", "best rule", ">training", ">held out", ">reliability"
    )
    for label, samples, n_rules, best in _rows(result):
        cells = ["", "", "", ""]
        if best is not None:
            rule, entry = best
            held_out = NOT_AVAILABLE if entry.held_out is None else f"{entry.held_out.correct}/{entry.held_out.hits}"
            reliability = NOT_AVAILABLE if entry.reliability is None else f"{entry.reliability:.2f}"
            cells = [_words(rule), f"{entry.training.correct}/{entry.training.hits}", held_out, reliability]
        table.add_row(*map(Text, (label, str(samples), str(n_rules), *cells)))
    results_console().print(table)


def _rows(result: MinedTask) -> list[tuple[str, int, int, tuple[Rule, RuleStatistics] | None]]:
    """(label, samples, active rules, the most reliable of them) of every label."""
    statistics = result.base.statistics()
    rows = []
    for index, label in enumerate(result.task.label_names):
        rules = [rule for rule in result.base.active() if rule.label == label]
        known = [(rule, statistics[rule.id, rule.when_hash]) for rule in rules]
        best = max(known, key=lambda each: (each[1].reliability or 0.0, each[1].training.correct), default=None)
        rows.append((label, int((result.labels == index).sum()), len(rules), best))
    return rows


def _words(rule: Rule) -> str:
    return " and ".join(map(str, rule.conditions))


def _table(title: str, *columns: str) -> Table:
    """A table; columns that begin with > are numbers."""
    table = Table(title=escape(title), title_justify="left")
    for column in columns:
        table.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )  # fmt: skip
    return table
