"""Confusion matrix, reliability diagram and coverage-error curve as PNG; Matplotlib is imported with the first."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from kdsl.evaluate.calibration import expected_calibration_error, reliability_bins
from kdsl.evaluate.confused import ConfusedPair, confused_pairs
from kdsl.evaluate.metrics import Outcome
from kdsl.evaluate.selective import CoverageError, Way
from kdsl.fonts import font_families
from kdsl.rules.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT, _WRONG, _GRID, _INK = "#7fb5dd", "#f0a873", "#e3e3e3", "#222222"
_LARGEST = 24.0
"""Inches of a matrix."""
_NAMED = 85
"""Labels whose names, and counts, can be read beside a matrix of that size. One of more labels has smaller cells."""
_SMALL_CELL = 0.1
_PAIRS_FROM, _PAIRS = 40, 40
"""Labels from which the pairs that are confused most stand beside the matrix too, and how many of them."""
_TICKS = 10
"""Every so many labels one is numbered where not all are."""
_LONGEST_NAME = 24
"""Cells of a label in the list of pairs, of which a Chinese character takes two."""


def is_named(labels: Sequence[str]) -> bool:
    """Whether `confusion_plot` names the labels; else it shows their numbers, from 1, which need a legend."""
    return len(labels) <= _NAMED and font_families("".join(labels)) is not None


def confusion_plot(counts: NDArray[np.int64], labels: Sequence[str], title: str) -> bytes:
    """The PNG of a confusion matrix as `metrics.confusion` gives it: [n_labels, n_labels + 1], last column = none.

    Cells are shaded by their share of the row, right ones blue and wrong ones orange, and show their count. The rows
    name the classes with a number, the columns show the number. Where no installed font has all characters of the
    labels, or the labels are too many, the rows show numbers only (see `is_named`). Beside a large matrix the pairs
    that are confused most are listed. A title that no font can draw shows question marks in place of its characters
    outside ASCII.
    """
    n_labels, named = len(labels), is_named(labels)
    families = font_families("".join(labels))
    abstained = bool(counts[:, -1].any())
    shown = counts if abstained else counts[:, :-1]
    large = n_labels > _NAMED
    cell = min(_SMALL_CELL if large else 0.36, _LARGEST / max(n_labels, 1))
    pairs = confused_pairs(counts)[:_PAIRS] if n_labels >= _PAIRS_FROM else []
    width, height = shown.shape[1] * cell, n_labels * cell
    figure, axes = _figure(max(width, 2.4), max(height, 1.2), 0.3 + (2.9 if named else 0.5), 5.2 if pairs else 0.0)

    if large:
        axes.pcolormesh(_shades(shown, 0.5))
        axes.grid(color=_GRID, linewidth=0.5)
    else:
        axes.pcolormesh(_shades(shown, 0.15), edgecolor=_GRID, linewidth=0.6)
    axes.invert_yaxis()
    size = 8.0 if large else min(9.0, cell * 25)
    if not large:
        _write_counts(axes, shown, size)
    numbered = [i for i in range(n_labels) if not large or (i + 1) % _TICKS == 0]
    # The column of no prediction takes the place of a number that would stand under its name.
    columns = [(i + 0.5, str(i + 1)) for i in numbered if not large or not abstained or i + _TICKS // 2 < n_labels]
    axes.set_xticks(*zip(*columns, *([(n_labels + 0.5, "none")] if abstained else []), strict=True))
    axes.set_yticks(
        [i + 0.5 for i in numbered],
        [f"{labels[i]}  {i + 1}" if named else str(i + 1) for i in numbered],
        family=families if named else None,
        parse_math=False,
    )
    axes.tick_params(length=2 if large else 0, labelsize=size)
    axes.set_xlabel("predicted (number of the class)", color=_INK)
    axes.set_ylabel("true", color=_INK)
    axes.spines[:].set_color(_GRID)
    if pairs:
        _list_pairs(axes, pairs, labels, families)
    figure_text(figure.suptitle, title, 11)
    return png(figure)


def _write_counts(axes: "Axes", shown: NDArray[np.int64], size: float) -> None:
    for row, column in zip(*np.nonzero(shown), strict=True):
        count = axes.text(
            column + 0.5, row + 0.5, str(shown[row, column]), ha="center", va="center", fontsize=size, color=_INK
        )
        count.set_in_layout(False)  # it lies inside the axes; measuring thousands takes seconds


def _list_pairs(
    axes: "Axes", pairs: Sequence[ConfusedPair], labels: Sequence[str], families: list[str] | None
) -> None:
    """Right of the matrix: how many samples, which label, as which it is predicted."""
    lines = [("samples", "true", "predicted as")]
    for pair in pairs:
        truth, predicted = pair.names([_cut(label) if families else "" for label in labels])
        number = str(pair.predicted + 1) if pair.predicted < len(labels) else ""
        lines.append(
            (f"{pair.count} ({pair.share:.0%})", f"{pair.truth + 1}  {truth}", f"{number}  {predicted}".strip())
        )
    top = 1.0
    for i, line in enumerate(lines):
        for x, text in zip((0.0, 0.9, 3.0), line, strict=True):  # inches from the matrix
            axes.annotate(
                text,
                (1.0, top),
                (x * 72 + 20, -i * 15.0),
                xycoords="axes fraction",
                textcoords="offset points",
                va="top",
                fontsize=8,
                color=_INK,
                weight="bold" if i == 0 else "normal",
                family=families,
                parse_math=False,
                annotation_clip=False,
            ).set_in_layout(False)


def _cut(name: str) -> str:
    """The beginning of a label, as long as there is room for."""
    width = 0
    for i, character in enumerate(name):
        width += 2 if east_asian_width(character) in "WF" else 1
        if width > _LONGEST_NAME:
            return f"{name[:i]}…"
    return name


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
    figure_text(figure.suptitle, title, 11)
    return png(figure)


def coverage_plot(curve: CoverageError, at: Way | None, title: str) -> bytes:
    """The PNG of a coverage-error curve: the share of wrong decisions where only the surest are made.

    `at` is what was predicted, marked where some samples were handed to a person.
    """
    figure, axes = _figure(4.6, 3.2, left=0.6, right=0.0)
    axes.plot([0, *curve.coverage], [curve.error[0], *curve.error], color="#1f5f92", linewidth=1.5)
    if at is not None and at.error is not None and at.coverage < 1:
        axes.plot([at.coverage], [at.error], "o", color="#c4601d")
        here = f"{at.coverage:.0%} decided, {at.error:.1%} of these wrong"
        axes.annotate(here, (at.coverage, at.error), (-6, 8), textcoords="offset points", ha="right", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, max(0.05, *curve.error) * 1.15))
    axes.set(xlabel="coverage: share of the samples that is decided", ylabel="share of the decisions that is wrong")
    axes.grid(color=_GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure_text(figure.suptitle, title, 11)
    return png(figure)


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


def _shades(counts: NDArray[np.int64], least: float) -> NDArray[np.float64]:
    """[rows, columns, 3] colours: white for no sample, up to blue on the diagonal and orange elsewhere.

    `least` is the strength of the smallest share, from 0 to 1: a single miss must still be seen.
    """
    from matplotlib.colors import to_rgb

    share = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[:, :, None]
    strength = np.where(share > 0, least + (1 - least) * share, 0.0)
    full = np.tile(np.array(to_rgb(_WRONG)), (*counts.shape, 1))
    diagonal = np.arange(len(counts))
    full[diagonal, diagonal] = to_rgb(_RIGHT)
    return 1 - strength * (1 - full)


def _figure(width: float, height: float, left: float, right: float) -> tuple["Figure", "Axes"]:
    """A figure whose axes measure `width` by `height` inches, with room for names on the left and pairs right."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    whole = width + left + 0.4 + right
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1 - right / whole, 1))
    figure = Figure(figsize=(whole, height + 1.3), layout=layout)
    return figure, figure.subplots()


def figure_text(place: Callable[..., object], text: str, size: float) -> None:
    """Have `place`, such as `figure.suptitle`, write a text; question marks for what no font can draw."""
    families = font_families(text)
    shown = text if families else text.encode("ascii", "replace").decode()
    place(shown, fontsize=size, family=families, parse_math=False)


def png(figure: "Figure") -> bytes:
    """The same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
