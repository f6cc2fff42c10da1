"""The tables and JSON records that `kdsl rules` prints."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kdsl.cli.console import results_console
from kdsl.rules.compare import Change
from kdsl.rules.finding import Finding
from kdsl.rules.rule import Rule
from kdsl.rules.rule_tests import TestOutcome
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import StatisticsByRule
from kdsl.rules.summary import RuleSummary
from kdsl.rules.table import NOT_AVAILABLE, RuleTable, conditions, counts, status_words


def list_record(base: RuleBase, rule: Rule, known: StatisticsByRule) -> dict[str, Any]:
    """One rule of `kdsl rules list --format json`."""
    statistics = known.get((rule.id, rule.when_hash))
    return {
        "task": base.task,
        "file": str(base.path(rule)),
        **rule.record(),
        "words": str(rule),
        "stale": rule.stale,
        "statistics": None if statistics is None else statistics.record(),
    }


def print_list(chosen: Iterable[tuple[RuleBase, Sequence[Rule]]]) -> None:
    for base, rules in chosen:
        listed = RuleTable(rules, base.statistics())
        table = _table(base.task, "id", "label", "status", "rule", ">training", ">held out", ">reliability")
        for rule in listed:
            words = rule.id, rule.label, status_words(rule), conditions(rule), *counts(listed.of(rule))
            table.add_row(*map(Text, words))
        _print(table, f"{base.task}: no rules in {base.folder / base.task}.")
    results_console().print("Training and held out: correct hits of all hits, and the 95 % interval of the precision.")


def print_findings(findings: Sequence[Finding]) -> None:
    """One line a finding, as compilers and other linters print them, so that editors can jump to it."""
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        rule = f" [bold]{finding.rule}[/bold]" if finding.rule else ""
        place = escape(f"{finding.file}:{finding.line}" if finding.line else str(finding.file))
        text = f"{place}: [{colour}]{finding.severity}[/{colour}]:{rule} {escape(finding.message)} ({finding.check})"
        console.print(text)
    errors = sum(finding.severity == "error" for finding in findings)
    console.print(f"errors: {errors}, warnings: {len(findings) - errors}" if findings else "No findings.")


def test_record(outcome: TestOutcome) -> dict[str, Any]:
    return {
        "rule": outcome.rule.id,
        "sample": outcome.sample,
        "expected": "hit" if outcome.expected else "miss",
        "actual": None if outcome.actual is None else "hit" if outcome.actual else "miss",
        "passed": outcome.passed,
    }


def print_tests(outcomes: Sequence[TestOutcome]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        console.print(f"[red]failed[/red] {outcome.rule.id} {escape(outcome.sentence)}")
    console.print(
        f"{len(outcomes) - len(failed)} tests passed, {len(failed)} failed." if outcomes else "No rule has tests."
    )


def change_record(task: str, change: Change) -> dict[str, Any]:
    return {
        "task": task,
        "id": change.id,
        "kind": change.kind,
        "details": list(map(str, change.details)),
        "old": None if change.old is None else change.old.record(),
        "new": None if change.new is None else change.new.record(),
    }


def print_changes(changes: Mapping[str, Sequence[Change]]) -> None:
    for task, found in changes.items():
        table = _table(task, "id", "change", "rule")
        for change in found:
            words = "\n".join(map(str, change.details)) if change.details else str(change.new or change.old)
            table.add_row(change.id, change.kind, Text(words))
        _print(table, f"{task}: no rule differs.")


def summary_record(task: str, row: RuleSummary) -> dict[str, Any]:
    return {
        "task": task,
        "id": row.rule.id,
        "label": row.rule.label,
        "status": row.rule.status,
        "hits": row.hits,
        "coverage": row.coverage,
        "overlaps": row.overlaps,
        "conflicts": row.conflicts,
        "correct": row.correct,
        "incorrect": row.incorrect,
        "precision": row.precision,
    }


def print_summaries(summaries: Mapping[str, Sequence[RuleSummary]]) -> None:
    numbers = (">hits", ">coverage", ">overlaps", ">conflicts", ">correct", ">incorrect", ">precision")
    for task, rows in summaries.items():
        table = _table(task, "id", "label", "status", *numbers)
        for row in sorted(rows, key=lambda row: (row.rule.label, -row.hits, row.rule.id)):
            shares = [f"{share:.3f}" for share in (row.coverage, row.overlaps, row.conflicts)]
            precision = NOT_AVAILABLE if row.precision is None else f"{row.precision:.3f}"
            judged = [str(row.correct), str(row.incorrect)] if row.hits else [NOT_AVAILABLE, NOT_AVAILABLE]
            cells = (row.rule.id, row.rule.label, row.rule.status, str(row.hits), *shares, *judged, precision)
            table.add_row(*map(Text, cells))
        _print(table, f"{task}: no rules.")


def _table(title: str, *columns: str) -> Table:
    """A table; columns that begin with > are numbers."""
    table = Table(title=Text(title, style="table.title"), title_justify="left")
    for column in columns:
        table.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold",
            no_wrap=column == "id",
        )  # fmt: skip
    return table


def _print(table: Table, nothing: str) -> None:
    results_console().print(table if table.row_count else escape(nothing))
