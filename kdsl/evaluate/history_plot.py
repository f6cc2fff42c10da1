"""The scores of runs over time as PNG, a panel for each set of samples. Matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdsl.evaluate.history import HistoryRow
from kdsl.evaluate.plots import figure_text, png
from kdsl.evaluate.runs import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 8.0, 2.6
"""Inches of a panel."""
_PANELS = 12
"""At most: the sets of samples that were evaluated last."""
_DATES = 8
"""Named on an axis, at most."""
_PREDICTORS = (("both", "#1f5f92", "o"), ("model alone", "#999999", "s"))


def history_plot(series: Sequence[Sequence[HistoryRow]]) -> bytes:
    """The PNG of the rows of each series: weighted F1 with its interval, run by run. ValueError without any."""
    from matplotlib.figure import Figure

    if not series:
        raise ValueError("there is no run to draw")
    series = sorted(series, key=lambda rows: rows[-1].at)[-_PANELS:]
    figure = Figure(figsize=(_WIDTH, _HEIGHT * len(series) + 0.4), layout="constrained")
    for rows, axes in zip(series, figure.subplots(len(series), squeeze=False)[:, 0], strict=True):
        _panel(rows, axes)
    return png(figure)


def _panel(rows: Sequence[HistoryRow], axes: "Axes") -> None:
    places = range(len(rows))
    for name, colour, marker in _PREDICTORS:
        scores: list[Score] = [(row.scores.both if name == "both" else row.scores.model).weighted_f1 for row in rows]
        values = [score.value for score in scores]
        spread = [
            [max(score.value - score.low, 0) for score in scores],
            [max(score.high - score.value, 0) for score in scores],
        ]
        # Only of one, so that intervals do not hide each other.
        axes.errorbar(
            places, values, yerr=spread if name == "both" else None, fmt=f"-{marker}", color=colour, markersize=4,
            linewidth=1.2, capsize=2, label=name,
        )  # fmt: skip
    every = -(-len(rows) // _DATES)
    named = [place for place in places if (len(rows) - 1 - place) % every == 0]
    axes.set_xticks(named, [f"{rows[i].run.id}\n{rows[i].at:%m-%d %H:%M}" for i in named], fontsize=8)
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_ylabel("weighted F1")
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    days = dict.fromkeys(f"{row.at:%Y-%m-%d}" for row in (rows[0], rows[-1]))
    figure_text(axes.set_title, f"{rows[-1].run.record.samples}: {' to '.join(days)}", 10)
