"""What an .xlsx file says of its cells and python-calamine does not: errors, missing values, how far they reach."""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from kdsl.errors import KdslError
from kdsl.files import parsing

_MAIN = "{*}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(
    rb"<(?:\w+:)?c\b(?P<attributes>[^>]*?)(?P<empty>/)?>"
    rb"(?P<formula><(?:\w+:)?f\b[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>))?"
    rb"(?:<(?:\w+:)?v\b[^>]*>(?P<value>[^<]*)</)?"
)
_REFERENCE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_TYPE = re.compile(rb'\bt="(\w+)"')
_ROW_END = b"row>"
_BLOCK = 1 << 20
_MOST_CELLS = 1 << 26
"""Of the rectangle from the first cell to the last: calamine needs 32 bytes for each, empty or not."""


@dataclass
class SheetCells:
    """References such as B7."""

    errors: list[str] = field(default_factory=list)
    """Cells that hold an error, such as #N/A."""
    uncomputed: list[str] = field(default_factory=list)
    """Formulas that no program has computed."""


def sheet_cells(path: Path, file: "io.BufferedReader[Any]") -> dict[str, SheetCells]:
    """By the sheet's name; empty for what is no .xlsx file. `file` is at its beginning afterwards.

    Raises KdslError for a damaged file, and for a sheet with a cell so far out that its table fits no memory.
    """
    found: dict[str, SheetCells] = {}
    with parsing(path, "not a workbook", "save it again"):
        if zipfile.is_zipfile(file):
            archive = zipfile.ZipFile(file)
            for name, part in _parts(archive):
                with archive.open(part) as sheet:
                    found[name] = _looked_through(f"{path}, sheet {name!r}", sheet)
        file.seek(0)
    return found


def _parts(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """The name of each worksheet and where its XML stands."""
    names = set(archive.namelist())
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    for sheet in ElementTree.fromstring(archive.read("xl/workbook.xml")).iterfind(f"{_MAIN}sheets/{_MAIN}sheet"):
        target = targets.get(sheet.get(_RELATION), "")
        part = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if part in names:
            yield sheet.get("name", ""), part


def _looked_through(place: str, sheet: IO[bytes]) -> SheetCells:
    cells = SheetCells()
    rest, last_row, last_column = b"", 0, 0
    while block := sheet.read(_BLOCK):
        rest += block
        end = rest.rfind(_ROW_END)
        if end < 0:
            continue
        for match in _CELL.finditer(rest, 0, end):
            reference = _REFERENCE.search(match["attributes"])
            if reference is None or match["empty"]:  # of an empty cell only its looks are kept
                continue
            row, column = int(reference[2]), _column(reference[1])
            last_row, last_column = max(last_row, row), max(last_column, column)
            if match["formula"] is None and b't="e"' not in match["attributes"]:
                continue
            kind = _TYPE.search(match["attributes"])
            if kind is not None and kind[1] == b"e":
                cells.errors.append((reference[1] + reference[2]).decode())
            elif not match["value"] and (kind is None or kind[1] != b"str"):
                cells.uncomputed.append((reference[1] + reference[2]).decode())
        rest = rest[end:]
    if last_row * last_column > _MOST_CELLS:
        raise KdslError(
            f"{place}: its cells reach to row {last_row:,} and column {last_column:,}, more than fits the "
            "memory; delete what stands outside the table, or save the table as CSV"
        )
    return cells


def _column(letters: bytes) -> int:
    """From 1.

    >>> _column(b"A"), _column(b"AB")
    (1, 28)
    """
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
