"""The results of one evaluation: model alone, rules alone and both, per task and pooled, as summary and tables."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdsl.evaluate.bootstrap import LEVEL, N_RESAMPLES, Interval, Intervals, difference_intervals, intervals
from kdsl.evaluate.calibration import N_BINS, brier_score, expected_calibration_error
from kdsl.evaluate.metrics import LabelScores, Outcome, Scores, label_scores, pool, scores

PREDICTORS = ("model alone", "rules alone", "both")
_UNDEFINED = "–"


@dataclass(frozen=True)
class TaskResult:
    """What the three predictors said about the same samples of one task."""

    task: str
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    """[n] sample ids, in the order of the outcomes."""
    model: Outcome
    rules: Outcome
    both: Outcome


@dataclass(frozen=True)
class PredictorSummary:
    scores: Scores
    intervals: Intervals
    expected_calibration_error: float | None
    """In `N_BINS` bins of equal width; None without confidences."""
    brier_score: float | None


@dataclass(frozen=True)
class Difference:
    """Scores of both minus scores of the model alone, with paired intervals."""

    weighted_f1: float
    macro_f1: float
    accuracy: float
    intervals: Intervals


@dataclass(frozen=True)
class LabelSummary:
    label: str
    model: LabelScores
    rules: LabelScores
    both: LabelScores


@dataclass(frozen=True)
class TaskSummary:
    task: str
    samples: int
    model: PredictorSummary
    rules: PredictorSummary
    both: PredictorSummary
    difference: Difference
    labels: tuple[LabelSummary, ...]
    """In the task's order; none for the pooled summary."""


@dataclass(frozen=True)
class Summary:
    tasks: tuple[TaskSummary, ...]
    pooled: TaskSummary
    """Over all tasks, labels of different tasks being different classes: the MIRE challenge's measure."""
    seed: int
    resamples: int = N_RESAMPLES
    level: float = LEVEL

    def record(self) -> dict[str, Any]:
        """The summary as plain lists and dictionaries, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """The table of scores, as `kdsl run` prints it."""
        console = _console()
        with console.capture() as capture:
            console.print(_score_table(self))
        return capture.get()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kdsl.evaluate.html import summary_html

        return summary_html(self)


def summarise(results: Sequence[TaskResult], seed: int) -> Summary:
    """Score the results of one or more tasks; `seed` drives the bootstrap. ValueError when a task has no sample."""
    sizes = [len(result.labels) for result in results]
    pooled = TaskResult(
        task="pooled",
        labels=(),
        ids=tuple(id_ for result in results for id_ in result.ids),
        model=pool([result.model for result in results], sizes),
        rules=pool([result.rules for result in results], sizes),
        both=pool([result.both for result in results], sizes),
    )
    return Summary(
        tasks=tuple(_summarise_task(result, seed) for result in results),
        pooled=_summarise_task(pooled, seed),
        seed=seed,
    )


def print_scores(summary: Summary) -> None:
    """Print the table of scores to stdout. Made for 100 columns."""
    _console().print(_score_table(summary))


def print_summary(summary: Summary) -> None:
    """Print the tables to stdout: scores, what the rules add, and every label. Made for 100 columns."""
    console = _console()
    console.print(_score_table(summary))
    console.print(
        f"Intervals: {summary.level:.0%} percentile bootstrap, {summary.resamples} resamples, seed {summary.seed}. "
        f"ECE: {N_BINS} bins of equal width.\n"
        "covered: share of the samples with a prediction; right: share of those that is right.\n"
        "A sample without a prediction counts as a miss in all other columns.\n"
    )
    console.print(_difference_table(summary))
    for task in summary.tasks:
        console.print(_label_table(task))


def _console() -> Console:
    console = Console(highlight=False)
    # Tables take the width they need, and a narrow terminal breaks their lines: no number is ever cut.
    console.width = max(console.width, 100) if console.is_terminal else 250
    return console


def _summarise_task(result: TaskResult, seed: int) -> TaskSummary:
    model, rules, both = (_summarise_predictor(outcome, seed) for outcome in (result.model, result.rules, result.both))
    return TaskSummary(
        task=result.task,
        samples=len(result.ids),
        model=model,
        rules=rules,
        both=both,
        difference=Difference(
            weighted_f1=both.scores.weighted_f1 - model.scores.weighted_f1,
            macro_f1=both.scores.macro_f1 - model.scores.macro_f1,
            accuracy=both.scores.accuracy - model.scores.accuracy,
            intervals=difference_intervals(result.both, result.model, seed),
        ),
        labels=_summarise_labels(result),
    )


def _summarise_labels(result: TaskResult) -> tuple[LabelSummary, ...]:
    n_labels = len(result.labels)
    if not n_labels:
        return ()
    rows = (label_scores(outcome, n_labels) for outcome in (result.model, result.rules, result.both))
    return tuple(LabelSummary(*row) for row in zip(result.labels, *rows, strict=True))


def _summarise_predictor(outcome: Outcome, seed: int) -> PredictorSummary:
    return PredictorSummary(
        scores=scores(outcome),
        intervals=intervals(outcome, seed),
        expected_calibration_error=expected_calibration_error(outcome),
        brier_score=brier_score(outcome),
    )


def _score_table(summary: Summary) -> Table:
    table = _table("Scores")
    table.add_column("task", overflow="fold")
    table.add_column("", no_wrap=True)
    macro = ("macro\nF1", "macro\nprec.", "macro\nrecall")
    for name in ("weighted F1", *macro, "accu-\nracy", "covered", "right", "ECE"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in _sections(summary):
        names = (Text(task.task), Text(f"{task.samples} samples", style="dim"), "")
        for name, title, row in zip(names, PREDICTORS, (task.model, task.rules, task.both), strict=True):
            table.add_row(
                name,
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
    table = _table("What the rules add: both − model alone, on the same resamples")
    table.add_column("task", overflow="fold")
    for name in ("weighted F1", "macro F1", "accuracy"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in _sections(summary):
        difference = task.difference
        table.add_row(
            Text(task.task),
            _with_interval(difference.weighted_f1, difference.intervals.weighted_f1, sign="+"),
            _with_interval(difference.macro_f1, difference.intervals.macro_f1, sign="+"),
            _with_interval(difference.accuracy, difference.intervals.accuracy, sign="+"),
        )
    return table


def _label_table(task: TaskSummary) -> Table:
    shown = [row for row in task.labels if any(s.support or s.predicted for s in (row.model, row.rules, row.both))]
    absent = len(task.labels) - len(shown)
    table = _table(f"Labels of {task.task}" + (f" ({absent} more neither occur nor are predicted)" if absent else ""))
    table.add_column("label", overflow="fold")
    for name in ("samples", "prec.", "recall", "F1", "F1 of\nmodel", "rules\nsay it", "rules\nright"):
        table.add_column(name, justify="right", no_wrap=True)
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


def _table(title: str) -> Table:
    # Half of the usual padding: 100 columns hold the widest table.
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _sections(summary: Summary) -> tuple[TaskSummary, ...]:
    return (*summary.tasks, summary.pooled) if len(summary.tasks) > 1 else summary.tasks


def _with_interval(value: float, interval: Interval, sign: str = "") -> str:
    return f"{value:{sign}z.3f} [{interval.low:{sign}z.3f}, {interval.high:{sign}z.3f}]"


def _number(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value:.3f}"
