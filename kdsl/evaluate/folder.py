"""The folder that an evaluation leaves: the summary as JSON, tables as CSV, plots as PNG."""

import csv
import io
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from kdsl.data.spreadsheet import inert
from kdsl.evaluate.metrics import confusion
from kdsl.evaluate.plots import confusion_plot, coverage_plot, is_named, reliability_plot
from kdsl.evaluate.report import Summary, TaskResult, TaskSummary
from kdsl.evaluate.selective import coverage_error
from kdsl.files import write_atomically
from kdsl.fonts import font_families

_log = logging.getLogger(__name__)


def write_evaluation(folder: Path, results: Sequence[TaskResult], summary: Summary) -> None:
    """Write report.json, labels.csv and, for every task, confusion-<task>.csv and .png and reliability-<task>.png.

    With them coverage-<task>.json and .png: what share of the decisions is wrong where only the surest are made.

    The matrices are those of both together. A confusion-<task>.txt beside the PNG tells which number is which label
    when no installed font can draw the labels, or they are too many to be named; a warning says so. KdslError when the
    folder cannot be written.
    """
    write_atomically(folder / "report.json", json.dumps(summary.record(), ensure_ascii=False, indent=2) + "\n")
    write_atomically(folder / "labels.csv", _csv(_label_rows(summary.tasks)))
    for result, task in zip(results, summary.tasks, strict=True):
        name = re.sub(r"[^\w.-]+", "_", result.task)
        counts = confusion(result.both, len(result.labels))
        header = ["true \\ predicted", *result.labels, "(none)"]
        rows = ([label, *row] for label, row in zip(result.labels, counts.tolist(), strict=True))
        write_atomically(folder / f"confusion-{name}.csv", _csv([header, *rows]))
        title = f"{result.task}: both, {task.samples} samples, weighted F1 {task.both.scores.weighted_f1:.3f}"
        plot = folder / f"confusion-{name}.png"
        write_atomically(plot, confusion_plot(counts, result.labels, title))
        if not is_named(result.labels):
            legend = folder / f"confusion-{name}.txt"
            names = (f"{number}\t{label}\n" for number, label in enumerate(result.labels, start=1))
            write_atomically(legend, "".join(names))
            _log.warning("%s: %s; %s tells which number is which", plot, _why_not_named(result.labels), legend.name)
        predictors = [("model alone", result.model), ("both", result.both)]
        if any(outcome.confidence is not None for _, outcome in predictors):
            title = f"{result.task}: do the probabilities mean what they say? {task.samples} samples"
            write_atomically(folder / f"reliability-{name}.png", reliability_plot(predictors, title))
        if result.both.probabilities is not None:
            curve = coverage_error(result.both)
            write_atomically(folder / f"coverage-{name}.json", json.dumps(asdict(curve)) + "\n")
            title = f"{result.task}: how wrong the surest decisions are, {task.samples} samples"
            at = None if task.selective is None else task.selective.abstaining
            write_atomically(folder / f"coverage-{name}.png", coverage_plot(curve, at, title))


def _why_not_named(labels: Sequence[str]) -> str:
    if font_families("".join(labels)) is None:
        return "no installed font can draw the labels, so they stand as numbers"
    return f"{len(labels)} labels are too many to be named"


def _label_rows(tasks: Iterable[TaskSummary]) -> Iterable[list[object]]:
    yield [
        *("task", "label", "samples", "precision", "recall", "f1"),
        *("model_precision", "model_recall", "model_f1", "rules_predicted", "rules_precision", "rules_recall"),
    ]
    for task in tasks:
        for row in task.labels:
            yield [
                *(task.task, row.label, row.both.support, row.both.precision, row.both.recall, row.both.f1),
                *(row.model.precision, row.model.recall, row.model.f1),
                *(row.rules.predicted, row.rules.precision, row.rules.recall),
            ]


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    """With a byte order mark, without which spreadsheet programs misread Chinese; an undefined number is empty.

    A label that a spreadsheet would run as a formula begins with an apostrophe.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [f"{v:.6f}" if isinstance(v, float) else inert(v) if isinstance(v, str) else v for v in row] for row in rows
    )
    return text.getvalue().encode("utf-8-sig")
