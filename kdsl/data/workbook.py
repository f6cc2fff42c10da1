"""Workbooks of Excel and LibreOffice as rows of text: .xlsx, .xlsm, .xlsb, .xls and .ods."""

import datetime
import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kdsl.data.notes import Notes
from kdsl.data.sheet_xml import SheetCells, sheet_cells
from kdsl.data.table import TableRow
from kdsl.errors import KdslError
from kdsl.files import parsing
from kdsl.subprocess_call import call_in_subprocess

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_SAVE = "open it in a spreadsheet program and save it again, or save the table as CSV"
_COMPOUND = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = re.compile("EncryptedPackage".encode("utf-16-le") + rb"|\x09\x08\x10\x00[\x00-\xff]{16}\x2f\x00")
"""The stream that holds an encrypted .xlsx file, or the record FILEPASS at the beginning of an .xls file."""


def workbook_rows(path: Path, file: "io.BufferedReader[Any]", notes: Notes) -> Iterator[TableRow]:
    """The rows that hold anything of the first sheet that does, by sheet and row.

    Every cell is text as its reader sees it: 1.0 is `1`, a date `2024-03-05`, a formula its value. A cell that is
    merged over rows stands in each of them, which is noted, as are cells with errors and other sheets. Raises
    KdslError for a workbook with a password, and for a damaged one.
    """
    cells = sheet_cells(path, file)
    if not file.peek(len(_COMPOUND)).startswith(_COMPOUND):
        yield from _read(path, file, cells, notes)
        return
    content = file.read()
    if _ENCRYPTED.search(content):
        raise KdslError(f"{path}: is protected by a password; save it without one, or save its table as CSV")
    # What calamine takes from a damaged .xls file can end the process.
    try:
        rows, noted = call_in_subprocess(threading.Event(), _read_apart, path, content)
    except KdslError as error:
        if error.sentence.startswith(str(path)):
            raise
        raise KdslError(f"{path}: not a workbook that can be read (it is damaged); {_SAVE}") from error
    notes.add(noted)
    yield from rows


def _read_apart(path: Path, content: bytes) -> tuple[list[TableRow], Notes]:
    """The same in a process of its own, which says nothing of calamine's panics."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    notes = Notes()
    return [*_read(path, io.BytesIO(content), {}, notes)], notes


def _read(path: Path, file: BinaryIO, cells: dict[str, SheetCells], notes: Notes) -> Iterator[TableRow]:
    import python_calamine

    with _reading(path):
        sheet = _sheet(python_calamine.load_workbook(file), notes)
    if sheet is None:
        return
    if sheet.name in cells:
        for reference in cells[sheet.name].errors:
            notes.note("cells with an error such as #N/A taken for empty", f"sheet {sheet.name!r}, cell {reference}")
        for reference in cells[sheet.name].uncomputed:
            notes.note(
                "formulas without a value taken for empty (a spreadsheet program computes them when it saves)",
                f"sheet {sheet.name!r}, cell {reference}",
            )
    with _reading(path):
        yield from _rows(path, sheet, notes)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns whatever calamine raises, or panics of, about a damaged workbook into one sentence."""
    with parsing(path, "not a workbook that can be read", _SAVE):
        try:
            yield
        except BaseException as error:
            # Rust's panics are no Exception, and their class has no module to import it from.
            if type(error).__name__ != "PanicException":
                raise
            raise ValueError("it is damaged") from error


def _sheet(workbook: "CalamineWorkbook", notes: Notes) -> "CalamineSheet | None":
    """The first sheet that holds anything, a visible one before hidden ones; others that do are noted."""
    import python_calamine

    shown = python_calamine.SheetVisibleEnum.Visible
    sheets = [each for each in workbook.sheets_metadata if each.typ == python_calamine.SheetTypeEnum.WorkSheet]
    found = [workbook.get_sheet_by_name(each.name) for each in sorted(sheets, key=lambda each: each.visible != shown)]
    filled = [sheet for sheet in found if sheet.height]
    for other in filled[1:]:
        notes.note(
            f"other sheets than {filled[0].name!r} left out (to read one, move it to the front)",
            f"sheet {other.name!r}",
        )
    return filled[0] if filled else None


def _rows(path: Path, sheet: "CalamineSheet", notes: Notes) -> Iterator[TableRow]:
    first_column = sheet.start[1] if sheet.start else 0
    merged = {
        (row, column - first_column): last for (row, column), (last, _) in sheet.merged_cell_ranges or () if last > row
    }
    held: dict[int, tuple[str, int]] = {}
    header = True
    for number, values in enumerate(sheet.iter_rows()):
        place = f"sheet {sheet.name!r}, row {number + 1}"
        cells = [_text(value) for value in values]
        anything = any(cells)
        if merged:
            _fill(number, cells, merged, held, place, notes)
        if anything:
            over = next((merged[number, column] for column in range(len(cells)) if (number, column) in merged), 0)
            if header and over:
                raise KdslError(
                    f"{path}, {place}: a cell is merged down to row {over + 1}; the column names must stand in one row"
                )
            header = False
            yield TableRow(place, str(number + 1), cells)


def _fill(
    row: int,
    cells: list[str | None],
    merged: dict[tuple[int, int], int],
    held: dict[int, tuple[str, int]],
    place: str,
    notes: Notes,
) -> None:
    """Put the value of a cell that is merged over rows into each of them; `held` are those that go on in `row`."""
    for column, cell in enumerate(cells):
        if (row, column) in merged and cell is not None:
            held[column] = (cell, merged[row, column])
        elif column in held and row <= held[column][1]:
            cells[column] = held[column][0]
            notes.note("cells filled with the value of the cell above that they are merged with", place)


def _text(value: object) -> str | None:
    """A cell as it is read."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    text = str(value)
    return text if text.strip() else None
