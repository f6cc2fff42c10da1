"""The course of fine-tuning as PNG: loss by step, weighted F1 on held-out samples by epoch."""

import io
from collections.abc import Sequence
from typing import Any

_LOSS, _F1, _GRID, _INK = "#7fb5dd", "#f0a873", "#e3e3e3", "#222222"
_TASKS = ("#8d8d8d", "#6fae8c", "#b08bc7", "#c9a227")
"""Line colours of single tasks, over again where there are more."""


def curves_plot(history: Sequence[dict[str, Any]]) -> bytes:
    """The PNG of the log of a Trainer: entries with `loss`, and with `eval_weighted_f1` or `eval_loss`, by `step`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    loss, judged = figure.subplots(1, 2)
    loss.plot(*_points(history, "loss"), color=_LOSS, label="training")
    held_out = _points(history, "eval_loss")
    if held_out[0]:
        loss.plot(*held_out, color=_F1, marker="o", label="held out")
        loss.legend(frameon=False)
    loss.set_title("loss", color=_INK, fontsize=10)
    tasks = sorted({key for entry in history for key in entry if key.startswith("eval_weighted_f1/")})
    for i, key in enumerate(tasks):
        name = key.partition("/")[2]
        label = name if name.isascii() else f"task {i + 1}"
        judged.plot(*_points(history, key), color=_TASKS[i % len(_TASKS)], marker=".", linewidth=1, label=label)
    judged.plot(*_points(history, "eval_weighted_f1"), color=_F1, marker="o", label="all tasks")
    if tasks:
        judged.legend(frameon=False, fontsize=8, loc="lower right")
    judged.set_ylim(0, 1.02)
    judged.set_title("weighted F1, held out", color=_INK, fontsize=10)
    for axes in (loss, judged):
        axes.set_xlabel("step", color=_INK)
        axes.grid(color=_GRID, linewidth=0.6)
        axes.spines[:].set_color(_GRID)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _points(history: Sequence[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    found = [(entry["step"], entry[key]) for entry in history if key in entry]
    return [step for step, _ in found], [value for _, value in found]
