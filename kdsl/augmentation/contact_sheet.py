"""Originals beside their copies, as one picture for people."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.augmentation.augmenter import Copies
from kdsl.fields.ocr import open_page
from kdsl.fields.table import FieldTable
from kdsl.files import inside
from kdsl.fonts import font_families

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, COLUMNS = 24, 5
"""Samples that are shown, of as many labels as can be, and copies of each at most."""
_WIDTH, _HEIGHT = 1.9, 2.7
"""Inches of a picture."""
_SIDE = 600
"""Pixels that pictures are shrunk to."""
_DPI = 150
"""So many that a page's larger text can be read."""
_BELOW_TITLE = 0.99
"""Of a line's height, its title above included."""


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
    families = font_families("".join(sorted({originals.rows[source].sample.label or "" for source in rows})))
    columns = 1 + max(len(indices) for indices in rows.values())
    figure = Figure(figsize=(columns * _WIDTH, len(rows) * _HEIGHT))
    FigureCanvasAgg(figure)
    for line, (source, indices) in enumerate(rows.items()):
        sample = originals.rows[source].sample
        label = sample.label or ""
        title = label if families else f"label {label_names.index(label) + 1}"
        _show(figure, (line, 0), (len(rows), columns), inside(images, sample.images[0]), title, families)
        for column, index in enumerate(indices, start=1):
            name = copies.table.rows[index].sample.images[0]
            title = _two_lines(copies.pictures[name].plan.operations)
            _show(figure, (line, column), (len(rows), columns), files[name], title)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
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


def _show(
    figure: "Figure",
    place: tuple[int, int],
    grid: tuple[int, int],
    path: Path,
    title: str,
    families: list[str] | None = None,
) -> None:
    """One picture with its title, at (line, column) of a grid with so many of both."""
    image, _ = open_page(path)
    image.thumbnail((_SIDE, _SIDE))
    (line, column), (lines, columns) = place, grid
    bottom = 1 - (line + _BELOW_TITLE) / lines
    axes = figure.add_axes((column / columns, bottom, 0.94 / columns, (_BELOW_TITLE - 0.14) / lines))
    axes.imshow(image)
    axes.set(xticks=[], yticks=[])  # the frame stays: many pages are as white as the paper
    axes.set_title(title, fontsize=7, family=families)


def _two_lines(operations: tuple[str, ...]) -> str:
    half = (len(operations) + 1) // 2
    return ", ".join(operations[:half]) + "\n" + ", ".join(operations[half:])
