"""The tables of scores that `kdsl evaluate` and `kdsl run` print."""

from rich.table import Table
from rich.text import Text

from kdsl.cli.console import print_table, results_console, results_table
from kdsl.evaluate.bootstrap import Interval
from kdsl.evaluate.calibration import N_BINS
from kdsl.evaluate.report import PREDICTORS, Summary, TaskSummary
from kdsl.evaluate.selective import Selective

_UNDEFINED = "–"


def print_scores(summary: Summary) -> None:
    """Print the table of scores to stdout, in 80 columns."""
    print_table(_score_table(summary))


def print_summary(summary: Summary) -> None:
    """Print the tables to stdout: scores, what the rules add, and every label, in 80 columns."""
    console = results_console()
    console.print(_score_table(summary))
    console.print(
        f"\nIntervals: {summary.level:.0%} percentile bootstrap, {summary.resamples} resamples, seed {summary.seed}. "
        f"ECE: {N_BINS} bins of equal width.\n"
        "covered: share of the samples with a prediction; right: share of those that is right.\n"
        "A sample without a prediction counts as a miss in all other columns.\n"
    )
    console.print(_difference_table(summary))
    for task in summary.tasks:
        if task.selective is not None:
            console.print()
            console.print(_selective_table(task.task, task.selective))
            console.print(_cost_table(task.selective))
        console.print()
        console.print(_label_table(task))


def _selective_table(task: str, found: Selective) -> Table:
    """What telling `other` and handing over decisions come to."""
    belongs = "" if found.other is None else f", {found.other} told with AUROC {_number(found.auroc)}"
    columns = (">accu-\nracy", ">weighted\nF1", ">decided", ">wrong\nof these", ">right\nin scope", ">other\ntold")
    table = results_table(f"Deciding less: {task}{belongs}", "", *columns, dense=True)
    for title, way in found.ways.items():
        numbers = (way.accuracy, way.weighted_f1, way.coverage, way.error, way.in_scope_accuracy, way.other_recall)
        table.add_row(title, *map(_number, numbers))
    return table


def _cost_table(found: Selective) -> Table:
    columns = (">samples", ">handed\nover", ">of these\nright", ">of these\nwrong", ">right, but\ntold other")
    table = results_table("What deciding less does to each label", "label", *columns)
    for row in found.costs:
        numbers = (row.samples, row.abstained, row.lost, row.spared, row.taken_for_other)
        table.add_row(Text(row.label), *map(str, numbers))
    return table


def _score_table(summary: Summary) -> Table:
    macro = (">macro\nF1", ">macro\nprec.", ">macro\nrecall")
    table = results_table(
        "Scores", "", ">weighted F1", *macro, ">accu-\nracy", ">covered", ">right", ">ECE", dense=True
    )
    for task in summary.sections:
        # A row of its own, as names of tasks may be long.
        table.add_row(Text(task.task, style="bold"), Text(f"{task.samples} samples", style="dim"))
        for title, row in zip(PREDICTORS, (task.model, task.rules, task.both), strict=True):
            table.add_row(
                title,
                _with_interval(row.scores.weighted_f1, row.intervals.weighted_f1),
                _number(row.scores.macro_f1),
                _number(row.scores.macro_precision),
                _number(row.scores.macro_recall),
                _number(row.scores.accuracy),
                _number(row.scores.coverage),
                _number(row.scores.covered_precision),
                _number(row.expected_calibration_error),
                style="bold" if row is task.both else "",
                end_section=row is task.both,
            )
    return table


def _difference_table(summary: Summary) -> Table:
    title = "What the rules add: both − model alone, on the same resamples"
    table = results_table(title, "task", ">weighted F1", ">macro F1", ">accuracy")
    for task in summary.sections:
        difference = task.difference
        table.add_row(
            Text(task.task),
            _with_interval(difference.weighted_f1, difference.intervals.weighted_f1, "+", "\n"),
            _with_interval(difference.macro_f1, difference.intervals.macro_f1, "+", "\n"),
            _with_interval(difference.accuracy, difference.intervals.accuracy, "+", "\n"),
        )
    return table


def _label_table(task: TaskSummary) -> Table:
    shown = [row for row in task.labels if any(s.support or s.predicted for s in (row.model, row.rules, row.both))]
    absent = len(task.labels) - len(shown)
    title = f"Labels of {task.task}" + (f" ({absent} more neither occur nor are predicted)" if absent else "")
    numbers = (">samples", ">prec.", ">recall", ">F1", ">F1 of\nmodel", ">rules\nsay it", ">rules\nright")
    table = results_table(title, "label", *numbers)
    for row in shown:
        table.add_row(
            Text(row.label),
            str(row.both.support),
            _number(row.both.precision),
            _number(row.both.recall),
            _number(row.both.f1),
            _number(row.model.f1),
            str(row.rules.predicted),
            _number(row.rules.precision),
        )
    return table


def _with_interval(value: float, interval: Interval, sign: str = "", between: str = " ") -> str:
    return f"{value:{sign}z.3f}{between}[{interval.low:{sign}z.3f}, {interval.high:{sign}z.3f}]"


def _number(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value:.3f}"
