"""kdsl history: every evaluation that is kept, what changed from one to the next, and the scores over time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsl.cli.options import Format, FormatOption, ProjectArguments, not_stdout, open_project, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kdsl.evaluate.history import HistoryRow


def history(
    arguments: ProjectArguments = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            callback=not_stdout,
            help="The plot, a PNG; runs/history.png by default.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Show every evaluation that is kept, with what changed since the one before, and plot their scores."""
    from kdsl.evaluate.history import by_series
    from kdsl.evaluate.history_plot import history_plot
    from kdsl.files import write_atomically
    from kdsl.project.runs import project_history, runs_folder

    project = open_project(arguments)
    rows = project_history(project)
    series = by_series(rows)
    if format is Format.json:
        print_json([row.record() for row in rows])
    else:
        _print_table(series)
    if not rows:
        typer.echo("No evaluation is kept yet; `kdsl run` and `kdsl evaluate` keep each one.", err=True)
        return
    plot = output or runs_folder(project.config) / "history.png"
    write_atomically(plot, history_plot(series))
    typer.echo(f"The plot is in {plot}.", err=True)


def _print_table(series: "Sequence[Sequence[HistoryRow]]") -> None:
    """A table for each set of samples, the newest run last."""
    from rich.text import Text

    from kdsl.cli.console import print_table, results_table, visible

    for rows in series:
        table = results_table(
            visible(str(rows[-1].run.record.samples)), "id", "date", ">samples", ">weighted F1", "what changed"
        )
        for row in rows:
            f1 = row.scores.both.weighted_f1
            changed = "first run" if row.changed is None else "; ".join(map(str, row.changed)) or "nothing"
            table.add_row(
                row.run.id,
                f"{row.at:%Y-%m-%d %H:%M}",
                str(row.scores.samples),
                f"{f1.value:.3f} [{f1.low:.3f}, {f1.high:.3f}]",
                Text(visible(changed)),
            )
        print_table(table)
