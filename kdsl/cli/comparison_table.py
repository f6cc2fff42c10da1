"""The tables that `kdsl evaluate --against` prints, in 80 columns."""

from rich.table import Table
from rich.text import Text

from kdsl.cli.console import print_table, results_console, results_table, visible
from kdsl.evaluate.comparison import KINDS, Change, LabelGain, TaskComparison
from kdsl.evaluate.paired import Gain
from kdsl.evaluate.runs import KeptPrediction, label_words
from kdsl.evaluate.side_by_side import SideBySide

_LABELS, _MOVES, _CHANGES = 10, 10, 5
"""Shown at most: labels, ways that predictions went, samples of each kind."""


def print_comparison(found: SideBySide) -> None:
    """Print what was gained and lost, the labels that moved, and the first samples that changed."""
    console = results_console()
    new, old = found.names
    console.print(Text(f"Run {new}\nagainst {old}", style="bold"))
    for each in found.changed:
        console.print(Text(visible(f"  {each}")))
    for note in found.notes:
        console.print(Text(visible(note)))
    console.print()
    print_table(_gains(found))
    console.print(
        f"Intervals: {found.comparison.level:.0%} paired bootstrap, {found.comparison.resamples} resamples, seed "
        f"{found.comparison.seed}. p: McNemar's exact test.\n"
    )
    for task in found.comparison.tasks:
        if task.moved:
            print_table(_labels(task))
        if task.moves:
            print_table(_moves(task))
        for kind in KINDS:
            changes = task.of(kind)
            if changes:
                console.print(Text(f"{task.task}: {kind}, {_samples(len(changes))}", style="bold"))
            for change in changes[:_CHANGES]:
                _print_change(change)
            if len(changes) > _CHANGES:
                console.print(f"… and {len(changes) - _CHANGES} more")
            if changes:
                console.print()


def _gains(found: SideBySide) -> Table:
    table = results_table("Gains and losses", "", ">old", ">new", ">difference")
    for task in found.comparison.tasks:
        told = f"{task.samples} samples: {task.gained} gained, {task.lost} lost, p = {task.p_value:.3g}"
        table.add_row(Text(task.task, style="bold"), "", "", Text(told, style="dim"))
        for name, gain in task.scores:
            table.add_row(name, f"{gain.old:.3f}", f"{gain.new:.3f}", _difference(gain))
    return table


def _labels(task: TaskComparison) -> Table:
    more = len(task.moved) - _LABELS
    title = f"Labels of {task.task} that moved" + (f" ({more} more moved less)" if more > 0 else "")
    table = results_table(title, "label", ">samples", ">F1 old", ">F1 new", ">difference")
    for row in task.moved[:_LABELS]:
        old, new = ("–" if value is None else f"{value:.3f}" for value in (row.old, row.new))
        table.add_row(Text(row.label), str(row.samples), old, new, _difference(row))
    return table


def _moves(task: TaskComparison) -> Table:
    more = len(task.moves) - _MOVES
    title = f"Where predictions of {task.task} went" + (f" ({more} more ways)" if more > 0 else "")
    table = results_table(title, "from", "to", ">samples", ">gained", ">lost")
    for move in task.moves[:_MOVES]:
        names = (Text(label_words(labels)) for labels in (move.old, move.new))
        table.add_row(*names, *map(str, (move.samples, move.gained, move.lost)))
    return table


def _print_change(change: Change) -> None:
    console = results_console()
    console.print(Text(visible(f"{change.new.id} is {label_words(change.truth)}")))
    for when, said in (("was", change.old), ("now", change.new)):
        console.print(Text(visible(f"  {when} {_said(said)}")))


def _said(prediction: KeptPrediction) -> str:
    confidence = prediction.confidence
    number = "" if confidence is None else f" ({confidence:.2f})"
    return f"{prediction.words}{number}" + (f": {prediction.reason}" if prediction.reason else "")


def _difference(of: Gain | LabelGain) -> str:
    return f"{of.difference:+z.3f} [{of.interval.low:+z.3f}, {of.interval.high:+z.3f}]"


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"
