"""Rows of a table as values: the column names that every table has, and what is wrong with them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from kdsl.data.keys import meant_exactly
from kdsl.data.notes import Notes
from kdsl.data.values import Value
from kdsl.errors import KdslError

_SAMPLE = 200
"""Rows that the header is compared with."""
_WIDE = re.compile("[，；、]")
_SPACE = " \t\r\n\ufeff\u3000\xa0"


class TableRow(NamedTuple):
    """`place` is what a person finds it by, such as `line 7`; `number` the same as short as an id."""

    place: str
    number: str
    cells: Sequence[str | None]


def table_values(path: Path, rows: Iterable[TableRow], labels: Sequence[str], notes: Notes) -> Iterator[Value]:
    """An object a row, {column: text, or None for an empty cell}; the first row holds the column names.

    `rows` are those that hold anything. A row with fewer cells than the header has empty ones at its end, which is
    noted, as is a header that is repeated. Raises KdslError where the first row holds no column names, or one of them
    twice, or a second row holds some too, and for a row with more cells.
    """
    rows = iter(rows)
    header = next(rows, None)
    if header is None:
        return
    sample = list(islice(rows, _SAMPLE))
    if not sample:
        raise KdslError(f"{path}, {header.place}: holds column names ({_shown(header)}), and no row stands below them")
    names = [(cell or "").strip(_SPACE) for cell in header.cells]
    _check_header(path, header, names, sample, labels)
    for row in chain(sample, rows):
        if list(row.cells) == list(header.cells):
            notes.note("rows that repeat the column names left out", row.place)
            continue
        if any(cell and cell.strip() for cell in row.cells[len(names) :]):
            raise KdslError(
                f"{path}, {row.place}: has {len(row.cells)} cells, the header {len(names)}; put a cell that holds the "
                "delimiter in double quotes"
            )
        if len(row.cells) < len(names):
            notes.note("rows with fewer cells than the header, whose last ones are taken for empty", row.place)
        cells = [cell if cell and cell.strip() else None for cell in row.cells]
        cells += [None] * (len(names) - len(cells))
        value = dict(zip(names, cells, strict=False))
        if value.pop("", None) is not None:
            notes.note("cells of a column without a name left out", row.place)
        yield Value(row.place, row.number, value)


def _check_header(
    path: Path, header: TableRow, names: Sequence[str], sample: Sequence[TableRow], labels: Sequence[str]
) -> None:
    place = f"{path}, {header.place}"
    filled = [name for name in names if name]
    widest = max(sum(bool(cell) for cell in row.cells) for row in sample)
    if len(filled) == 1 and widest > 1:
        raise KdslError(
            f"{place}: holds {filled[0]!r} alone, and {sample[0].place} more cells; the first row must hold the "
            "names of the columns: delete what stands above them"
        )
    if len(names) == 1 and _WIDE.search(names[0]):
        raise KdslError(
            f"{place}: {names[0][:60]!r} holds a full-width comma, which parts no columns; use plain commas"
        )
    twice = next((name for name in filled if filled.count(name) > 1), None)
    if twice is not None:
        columns = [number for number, name in enumerate(names, start=1) if name == twice]
        raise KdslError(
            f"{place}: columns {columns[0]} and {columns[1]} are both called {twice!r}; rename one of them"
        )
    if sample_like := _cell_of_a_sample(names, sample, labels):
        raise KdslError(
            f"{place}: holds no column names, for {sample_like!r} stands below too; put a row such as text,label above"
        )
    second = [cell.strip(_SPACE) for cell in sample[0].cells if cell and cell.strip()]
    meant = {meant_exactly(cell) for cell in second}
    if len(meant) > 1 and None not in meant and second != filled:
        raise KdslError(f"{path}, {sample[0].place}: is a second row of column names ({_shown(sample[0])}); keep one")
    nameless = [
        column
        for column in range(max(len(row.cells) for row in sample))
        if (column >= len(names) or not names[column]) and any(_cell(row, column) for row in sample)
    ]
    # A first column alone is the index of a data frame.
    nameless = [column for column in nameless if column < len(names)]
    if nameless not in ([], [0]):
        row = next(row for row in sample if _cell(row, nameless[-1]))
        raise KdslError(
            f"{place}: column {nameless[-1] + 1} has no name, but {row.place} a cell in it; the names must stand in "
            "one row, the first"
        )


def _cell_of_a_sample(names: Sequence[str], sample: Sequence[TableRow], labels: Sequence[str]) -> str:
    """A cell of the first row that is one of a sample's: it stands below too, or is a label above other labels."""
    found = ""
    for column, name in enumerate(names):
        if not name:
            continue
        below = {(_cell(row, column) or "").strip() for row in sample if list(row.cells) != list(names)}
        if name in below or (name in labels and below & set(labels)):
            found = name
        elif meant_exactly(name) is not None:
            return ""
    return found


def _cell(row: TableRow, column: int) -> str | None:
    return row.cells[column] if column < len(row.cells) else None


def _shown(row: TableRow) -> str:
    shown = [repr(cell if len(cell) <= 20 else cell[:19] + "…") for cell in row.cells if cell]
    return ", ".join(shown[:6]) + (", …" if len(shown) > 6 else "")
