"""The tables that `kdsl mine` prints."""

from collections.abc import Sequence

from rich.markup import escape
from rich.text import Text

from kdsl.cli.console import RuleText, print_table, results_console, results_table
from kdsl.project.label_search import LabelRule
from kdsl.project.mining import MinedTask
from kdsl.rules.table import NOT_AVAILABLE, conditions


def print_search(task: str, label: str, rules: Sequence[LabelRule]) -> None:
    table = results_table(f"{task}: {label}", "rule", ">training", ">reliability")
    for rule in rules:
        table.add_row(RuleText(rule.rule), f"{rule.correct}/{rule.hits}", _share(rule.reliability))
    results_console().print(table if rules else escape(f"{task}: no rule for {label}."))


def print_result(result: MinedTask) -> None:
    """One row a label: how many rules, and the best of them."""
    numbers = (">train-\ning", ">held\nout", ">relia-\nbility")
    table = results_table(result.task.name, "label", ">sam-\nples", ">rules", "best rule", *numbers)
    for row in result.by_label():
        words, counts = "", ["", "", ""]
        if row.best is not None:
            rule, entry = row.best
            held_out = NOT_AVAILABLE if entry.held_out is None else f"{entry.held_out.correct}/{entry.held_out.hits}"
            words = conditions(rule)
            counts = [f"{entry.training.correct}/{entry.training.hits}", held_out, _share(entry.reliability)]
        table.add_row(Text(row.label), str(row.samples), str(row.rules), RuleText(words), *counts)
    print_table(table)


def _share(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else f"{value:.2f}"
