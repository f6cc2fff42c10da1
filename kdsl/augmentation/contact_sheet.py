"""Originals beside their copies, as one picture for people."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.augmentation.augmenter import Copies
from kdsl.fields.ocr import open_page
from kdsl.fields.table import FieldTable
from kdsl.fonts import font_families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, COLUMNS = 12, 5
"""Samples that are shown, of as many labels as can be, and copies of each at most."""
_WIDTH, _HEIGHT = 1.9, 2.7
"""Inches of a picture."""
_SIDE = 400
"""Pixels that pictures are shrunk to."""


def contact_sheet(
    copies: Copies, originals: FieldTable, images: Path, files: Mapping[str, Path], label_names: tuple[str, ...]
) -> bytes | None:
    """The PNG: a sample a row, its first image and those of its copies, with what was done; None without any image.

    `images` is the folder of the originals, `files` name the copies' images. Labels stand as their number in the task
    where no installed font can draw them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _chosen(copies, originals)
    if not rows:
        return None
    names = {row.sample.label or "" for row in originals.rows}
    families = font_families("".join(sorted(names)))
    columns = 1 + max(len(indices) for indices in rows.values())
    figure = Figure(figsize=(columns * _WIDTH, len(rows) * _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (source, indices) in zip(grid, rows.items(), strict=True):
        sample = originals.rows[source].sample
        label = sample.label or ""
        title = label if families else f"label {label_names.index(label) + 1}"
        _show(line[0], images / sample.images[0], title)
        if families:
            line[0].title.set_family(families)
        for axes, index in zip(line[1:], indices, strict=False):
            name = copies.table.rows[index].sample.images[0]
            _show(axes, files[name], _two_lines(copies.pictures[name].plan.operations))
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def _chosen(copies: Copies, originals: FieldTable) -> dict[int, list[int]]:
    """Row of an original → its copies; one of each label first, then a second of each."""
    of: dict[int, list[int]] = {}
    for index, source in enumerate(copies.sources.tolist()):
        images = copies.table.rows[index].sample.images
        if images and images[0] in copies.pictures:
            of.setdefault(source, []).append(index)
    seen: dict[str | None, int] = {}
    order = []
    for source in of:
        label = originals.rows[source].sample.label
        order.append((seen.get(label, 0), source))
        seen[label] = seen.get(label, 0) + 1
    return {source: of[source][:COLUMNS] for _, source in sorted(order)[:ROWS]}


def _show(axes: "Axes", path: Path, title: str) -> None:
    image, _ = open_page(path)
    image.thumbnail((_SIDE, _SIDE))
    axes.imshow(image)
    axes.set_axis_on()  # its frame: many pages are as white as the paper
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=7)


def _two_lines(operations: tuple[str, ...]) -> str:
    half = (len(operations) + 1) // 2
    return ", ".join(operations[:half]) + "\n" + ", ".join(operations[half:])
