"""Confusion matrix, reliability diagram and coverage-error curve as PNG; Matplotlib is imported with the first."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.calibration import expected_calibration_error, reliability_bins
from kdsl.evaluate.metrics import Outcome
from kdsl.evaluate.selective import CoverageError, Way
from kdsl.fonts import font_families
from kdsl.rules.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT, _WRONG, _GRID, _INK = "#7fb5dd", "#f0a873", "#e3e3e3", "#222222"
_LARGEST = 24.0
"""Inches; a matrix of very many labels gets smaller cells instead."""


def confusion_plot(counts: NDArray[np.int64], labels: Sequence[str], title: str) -> bytes:
    """The PNG of a confusion matrix as `metrics.confusion` gives it: [n_labels, n_labels + 1], last column = none.

    Cells are shaded by their share of the row, right ones blue and wrong ones orange, and show their count. The rows
    name the classes with a number, the columns show the number. Where no installed font has all characters of the
    labels (`font_families` is None), the rows show numbers only: write the names beside the plot. A title that no font
    can draw shows question marks in place of its characters outside ASCII.
    """
    n_labels = len(labels)
    families = font_families("".join(labels))
    abstained = bool(counts[:, -1].any())
    shown = counts if abstained else counts[:, :-1]
    cell = min(0.36, _LARGEST / max(n_labels, 1))
    names = [f"{name}  {i}" if families else str(i) for i, name in enumerate(labels, start=1)]
    width, height = shown.shape[1] * cell, n_labels * cell
    figure, axes = _figure(max(width, 2.4), max(height, 1.2), left=0.3 + (2.9 if families else 0.5))

    axes.pcolormesh(_shades(shown), edgecolor=_GRID, linewidth=0.6)
    axes.invert_yaxis()
    size = min(9.0, cell * 25)
    for row, column in zip(*np.nonzero(shown), strict=True):
        count = axes.text(
            column + 0.5, row + 0.5, str(shown[row, column]), ha="center", va="center", fontsize=size, color=_INK
        )
        count.set_in_layout(False)  # it lies inside the axes; measuring thousands takes seconds
    numbers = [*map(str, range(1, n_labels + 1)), *(["none"] if abstained else [])]
    axes.set_xticks(np.arange(shown.shape[1]) + 0.5, numbers)
    axes.set_yticks(np.arange(n_labels) + 0.5, names, family=families, parse_math=False)
    axes.tick_params(length=0, labelsize=size)
    axes.set_xlabel("predicted (number of the class)", color=_INK)
    axes.set_ylabel("true", color=_INK)
    axes.spines[:].set_color(_GRID)
    _set_title(figure, title)
    return _png(figure)


def reliability_plot(outcomes: Sequence[tuple[str, Outcome]], title: str) -> bytes:
    """The PNG of one reliability diagram per named outcome, side by side; outcomes without confidences are left out.

    Above: accuracy per bin of confidence against the mean confidence of the bin, with 95 % Wilson intervals; on the
    diagonal the probabilities mean what they say. Below: how many predictions each bin holds.
    ValueError when no outcome has confidences.
    """
    from matplotlib.figure import Figure

    shown = [(name, outcome) for name, outcome in outcomes if outcome.confidence is not None]
    if not shown:
        raise ValueError("no outcome has confidences")
    figure = Figure(figsize=(4.2 * len(shown) + 0.4, 5.2), layout="constrained")
    grid = figure.subplots(2, len(shown), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1))
    for (name, outcome), above, below in zip(shown, grid[0], grid[1], strict=True):
        _reliability(name, outcome, above, below)
    _set_title(figure, title)
    return _png(figure)


def coverage_plot(curve: CoverageError, at: Way | None, title: str) -> bytes:
    """The PNG of a coverage-error curve: the share of wrong decisions where only the surest are made.

    `at` is what was predicted, marked where some samples were handed to a person.
    """
    figure, axes = _figure(4.6, 3.2, left=0.6)
    axes.plot([0, *curve.coverage], [curve.error[0], *curve.error], color="#1f5f92", linewidth=1.5)
    if at is not None and at.error is not None and at.coverage < 1:
        axes.plot([at.coverage], [at.error], "o", color="#c4601d")
        here = f"{at.coverage:.0%} decided, {at.error:.1%} of these wrong"
        axes.annotate(here, (at.coverage, at.error), (-6, 8), textcoords="offset points", ha="right", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, max(0.05, *curve.error) * 1.15))
    axes.set(xlabel="coverage: share of the samples that is decided", ylabel="share of the decisions that is wrong")
    axes.grid(color=_GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _set_title(figure, title)
    return _png(figure)


def _reliability(name: str, outcome: Outcome, above: "Axes", below: "Axes") -> None:
    bins = [bin_ for bin_ in reliability_bins(outcome) if bin_.count]
    accuracy = np.array([bin_.accuracy for bin_ in bins], dtype=np.float64)
    confidence = np.array([bin_.confidence for bin_ in bins])
    middles = [(bin_.low + bin_.high) / 2 for bin_ in bins]
    widths = [(bin_.high - bin_.low) * 0.92 for bin_ in bins]
    right = [round(share * bin_.count) for share, bin_ in zip(accuracy, bins, strict=True)]
    intervals = [wilson_interval(correct, bin_.count) for correct, bin_ in zip(right, bins, strict=True)]
    low, high = np.array(intervals).reshape(-1, 2).T
    above.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1)
    above.bar(middles, accuracy, widths, color=_RIGHT, alpha=0.55)
    spread = [accuracy - low, high - accuracy]
    above.errorbar(confidence, accuracy, yerr=spread, fmt="o", color="#1f5f92", markersize=4, linewidth=1)
    error = expected_calibration_error(outcome)
    above.set_title(f"{name}: ECE {error:.3f}" if error is not None else f"{name}: no predictions", fontsize=10)
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
    below.bar(middles, [bin_.count for bin_ in bins], widths, color=_WRONG, alpha=0.75)
    for middle, bin_ in zip(middles, bins, strict=True):
        below.text(middle, bin_.count, str(bin_.count), ha="center", va="bottom", fontsize=7, color=_INK)
    below.margins(y=0.2)
    below.set(xlabel="confidence: probability of the predicted label", ylabel="predictions")
    for axes in (above, below):
        axes.label_outer()
        axes.spines[["top", "right"]].set_visible(False)


def _shades(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """[rows, columns, 3] colours: white for no sample, up to blue on the diagonal and orange elsewhere."""
    from matplotlib.colors import to_rgb

    share = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[:, :, None]
    strength = np.where(share > 0, 0.15 + 0.85 * share, 0.0)  # a single miss must still be seen
    full = np.tile(np.array(to_rgb(_WRONG)), (*counts.shape, 1))
    diagonal = np.arange(len(counts))
    full[diagonal, diagonal] = to_rgb(_RIGHT)
    return 1 - strength * (1 - full)


def _figure(width: float, height: float, left: float) -> tuple["Figure", "Axes"]:
    """A figure whose axes measure `width` by `height` inches, with room for names on the left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width + left + 0.4, height + 1.3), layout="constrained")
    return figure, figure.subplots()


def _set_title(figure: "Figure", title: str) -> None:
    families = font_families(title)
    shown = title if families else title.encode("ascii", "replace").decode()
    figure.suptitle(shown, fontsize=11, family=families, parse_math=False)


def _png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
