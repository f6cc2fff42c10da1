"""The tables that `kdsl rules` prints."""

from collections.abc import Iterable, Mapping, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kdsl.cli.console import RuleText, lines_console, print_table, results_console, results_table
from kdsl.rules.compare import Change
from kdsl.rules.finding import Finding
from kdsl.rules.rule import Rule
from kdsl.rules.rule_tests import TestOutcome
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.summary import RuleSummary
from kdsl.rules.table import NOT_AVAILABLE, RuleTable, conditions, counts, status_words, without_interval

WIDE_ENOUGH = 120
"""Columns of a window in which intervals leave room for the rules."""


def print_list(chosen: Iterable[tuple[RuleBase, Sequence[Rule]]]) -> None:
    """One row a rule; where there is room, counts have an interval."""
    wide = results_console().width >= WIDE_ENOUGH
    for base, rules in chosen:
        listed = RuleTable(rules, base.statistics())
        numbers = (">train-\ning", ">held\nout", ">relia-\nbility")
        table = results_table(base.task, "id", "label", "status", "rule", *numbers)
        for rule in listed:
            told = counts(listed.of(rule))
            table.add_row(
                rule.id,
                Text(rule.label),
                status_words(rule),
                RuleText(conditions(rule)),
                *(told if wide else map(without_interval, told)),
            )
        _print(table, f"{base.task}: no rules in {base.folder / base.task}.")
    interval = ", and the 95 % interval of the precision" if wide else ""
    results_console().print(f"Training and held out: correct hits of all hits{interval}.")


def print_findings(findings: Sequence[Finding]) -> None:
    """One line a finding, as compilers and other linters print them, so that editors can jump to it."""
    console = lines_console()
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        rule = f" [bold]{finding.rule}[/bold]" if finding.rule else ""
        place = escape(f"{finding.file}:{finding.line}" if finding.line else str(finding.file))
        text = f"{place}: [{colour}]{finding.severity}[/{colour}]:{rule} {escape(finding.message)} ({finding.check})"
        console.print(text)
    errors = sum(finding.severity == "error" for finding in findings)
    console.print(f"errors: {errors}, warnings: {len(findings) - errors}" if findings else "No findings.")


def print_tests(outcomes: Sequence[TestOutcome]) -> None:
    console = lines_console()
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        console.print(f"[red]failed[/red] {outcome.rule.id} {escape(outcome.sentence)}")
    console.print(
        f"{len(outcomes) - len(failed)} tests passed, {len(failed)} failed." if outcomes else "No rule has tests."
    )


def print_changes(changes: Mapping[str, Sequence[Change]]) -> None:
    for task, found in changes.items():
        table = results_table(task, "id", "change", "rule")
        for change in found:
            words = "\n".join(map(str, change.details)) if change.details else str(change.new or change.old)
            table.add_row(change.id, change.kind, RuleText(words))
        _print(table, f"{task}: no rule differs.")


def print_summaries(summaries: Mapping[str, Sequence[RuleSummary]]) -> None:
    numbers = (
        ">hits", ">cover-\nage", ">over-\nlaps", ">con-\nflicts", ">cor-\nrect", ">incor-\nrect", ">preci-\nsion",
    )  # fmt: skip
    for task, rows in summaries.items():
        table = results_table(task, "id", "label", "status", *numbers, dense=True)
        for row in sorted(rows, key=lambda row: (row.rule.label, -row.hits, row.rule.id)):
            shares = [f"{share:.3f}" for share in (row.coverage, row.overlaps, row.conflicts)]
            precision = NOT_AVAILABLE if row.precision is None else f"{row.precision:.3f}"
            judged = [str(row.correct), str(row.incorrect)] if row.hits else [NOT_AVAILABLE, NOT_AVAILABLE]
            cells = (row.rule.id, row.rule.label, row.rule.status, str(row.hits), *shares, *judged, precision)
            table.add_row(*map(Text, cells))
        _print(table, f"{task}: no rules.")


def _print(table: Table, nothing: str) -> None:
    if table.row_count:
        print_table(table)
    else:
        results_console().print(escape(nothing))
