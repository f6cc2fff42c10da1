"""The tables of scores that `kdsl evaluate` and `kdsl run` print."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdsl.cli.console import print_table, results_console, results_table
from kdsl.evaluate.bootstrap import Interval
from kdsl.evaluate.calibration import N_BINS
from kdsl.evaluate.costs import CostSummary, Parameters, billions
from kdsl.evaluate.report import PREDICTORS, Summary, TaskSummary
from kdsl.evaluate.selective import Selective

_UNDEFINED = "–"


def print_scores(summary: Summary) -> None:
    """Print the table of scores to stdout, in 80 columns."""
    one, several = _kinds(summary)
    if one:
        print_table(_score_table(one))
    if several:
        print_table(_multi_label_table(several))


def _kinds(summary: Summary) -> tuple[list[TaskSummary], list[TaskSummary]]:
    """The sections with one label a sample, and those with several."""
    one = [task for task in summary.sections if not task.multi]
    return one, [task for task in summary.sections if task.multi]


def print_summary(summary: Summary) -> None:
    """Print the tables to stdout: scores, what the rules add, and every label, in 80 columns."""
    console = results_console()
    one, several = _kinds(summary)
    explained = [
        f"\nIntervals: {summary.level:.0%} percentile bootstrap, {summary.resamples} resamples, seed {summary.seed}. "
        f"ECE: {N_BINS} bins of equal width."
    ]
    if one:
        console.print(_score_table(one))
        explained += [
            "covered: share of the samples with a prediction; right: share of those that is right.",
            "A sample without a prediction counts as a miss in all other columns.",
        ]
    if several:
        console.print(_multi_label_table(several))
        explained.append("micro F1: all labels counted together; all right: no label wrong or missing on the sample.")
    console.print("\n".join(explained) + "\n")
    if summary.cost is not None:
        _print_cost(console, summary.cost, summary.parameters)
    if one:
        console.print(_difference_table(one))
    if several:
        console.print(_difference_table(several, multi=True))
    for task in summary.tasks:
        if task.selective is not None:
            console.print()
            console.print(_selective_table(task.task, task.selective))
            console.print(_cost_table(task.selective))
        console.print()
        console.print(_label_table(task))


_NAMED = 5
"""Samples over a limit that are named."""


def _print_cost(console: Console, cost: CostSummary, parameters: Parameters | None) -> None:
    """What a sample cost in calls and tokens beside `limits`, and how large the models are."""
    table = results_table(
        f"What predicting {cost.samples} samples cost", "", ">mean", ">most", ">limit", ">samples over"
    )
    for title, spent, over in (
        ("model calls a sample", cost.calls, [each.calls for each in cost.over]),
        ("output tokens a sample", cost.tokens, [each.tokens for each in cost.over]),
    ):
        limit, beyond = _UNDEFINED, 0
        if spent.limit is not None:
            limit, beyond = str(spent.limit), sum(count > spent.limit for count in over)
        table.add_row(title, f"{spent.mean:.2f}", str(spent.most), limit, str(beyond))
    if parameters is not None:
        for each in parameters.models:
            table.add_row(Text(f"billion parameters: {each.part}"), "", billions(each.parameters), "", "")
        limit = _UNDEFINED if parameters.limit is None else f"{parameters.limit:g}"
        known = billions(parameters.known) + (" and more" if parameters.unknown else "")
        table.add_row("together", "", known, limit, "yes" if parameters.exceeded else "")
    console.print(table)
    if cost.over:
        named = ", ".join(f"{each.task} {each.id}" for each in cost.over[:_NAMED])
        console.print(Text(f"Over a limit: {named}{' …' if len(cost.over) > _NAMED else ''}."))
    console.print()


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


def _score_table(tasks: Sequence[TaskSummary]) -> Table:
    macro = (">macro\nF1", ">macro\nprec.", ">macro\nrecall")
    table = results_table(
        "Scores", "", ">weighted F1", *macro, ">accu-\nracy", ">covered", ">right", ">ECE", dense=True
    )
    for task in tasks:
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


def _difference_table(tasks: Sequence[TaskSummary], multi: bool = False) -> Table:
    """`multi`: of tasks in which a sample may have several labels."""
    title = "What the rules add: both − model alone, on the same resamples"
    columns = (">micro F1", ">macro F1", ">all right") if multi else (">weighted F1", ">macro F1", ">accuracy")
    table = results_table(title, "task", *columns)
    for task in tasks:
        found = task.difference
        first = (
            _micro(found.micro_f1, found.intervals.micro_f1, "+", "\n")
            if multi
            else _with_interval(found.weighted_f1, found.intervals.weighted_f1, "+", "\n")
        )
        table.add_row(
            Text(task.task),
            first,
            _with_interval(found.macro_f1, found.intervals.macro_f1, "+", "\n"),
            _with_interval(found.accuracy, found.intervals.accuracy, "+", "\n"),
        )
    return table


def _multi_label_table(tasks: Sequence[TaskSummary]) -> Table:
    """Scores where a sample may have several labels."""
    numbers = (">macro\nF1", ">macro\nprec.", ">macro\nrecall", ">weighted\nF1", ">all\nright", ">ECE")
    table = results_table("Scores, several labels a sample", "", ">micro F1", *numbers, dense=True)
    for task in tasks:
        table.add_row(Text(task.task, style="bold"), Text(f"{task.samples} samples", style="dim"))
        for title, row in zip(PREDICTORS, (task.model, task.rules, task.both), strict=True):
            found = row.scores
            shown = (found.macro_f1, found.macro_precision, found.macro_recall, found.weighted_f1, found.accuracy)
            table.add_row(
                title,
                _micro(found.micro_f1, row.intervals.micro_f1),
                *map(_number, (*shown, row.expected_calibration_error)),
                style="bold" if row is task.both else "",
                end_section=row is task.both,
            )
    return table


def _micro(value: float | None, interval: Interval | None, sign: str = "", between: str = " ") -> str:
    return _UNDEFINED if value is None or interval is None else _with_interval(value, interval, sign, between)


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
