"""The rows of delimited text: CSV, TSV and their kin, with the delimiter and the way of quoting found in it."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from kdsl.errors import KdslError

_DELIMITERS = ",\t;|"
_USUAL: dict[str, Any] = {}
_SPACED = {"skipinitialspace": True}
_BACKSLASHES = {"escapechar": "\\", "doublequote": False}
_UNQUOTED = {"quoting": csv.QUOTE_NONE}
"""How cells are quoted. Another way than the usual is taken where it alone gives rows of one length."""
_QUOTED = re.compile(r'"[^"]*"')
"""A cell that is quoted after all."""
_SAMPLE = 500
"""Lines that the delimiter is told from."""
_NO_DELIMITER = "\x1f"
"""Stands in no text: of a table of one column."""
_SAYS = re.compile(r'\ufeff?"?sep=(.)"?\s*$', re.IGNORECASE)
"""A first line that Excel takes for the name of the delimiter."""


class Row(NamedTuple):
    """The cells of one row, and the line that it begins in."""

    line: int
    cells: list[str]


class Dialect(NamedTuple):
    """A delimiter and a way of quoting, `share` of the rows have as many cells as the first, which has `width`."""

    delimiter: str
    way: dict[str, Any]
    width: int
    share: float

    def reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(lines, delimiter=self.delimiter, strict=True, **self.way)


def delimited_rows(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    """The rows that hold anything, streaming; `lines` are those of `text_lines`, with their ends.

    Raises KdslError with the line in which a row begins that is not written as the rows before.
    """
    sample = list(islice(lines, _SAMPLE))
    sample, said = _without_separator_line(sample)
    dialect = find_dialect([line for _, line in sample], said)
    first = sample[0][0] if sample else 1
    reader = dialect.reader(line.lstrip("\ufeff") if number == 1 else line for number, line in chain(sample, lines))
    begins = first
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(begins, cells)
            begins = first + reader.line_num
    except csv.Error as error:
        raise KdslError(f"{path}, line {begins}: not a row of a table ({_why(error)})") from error


def _without_separator_line(sample: list[tuple[int, str]]) -> tuple[list[tuple[int, str]], str]:
    said = _SAYS.match(sample[0][1]) if sample else None
    return (sample[1:], said[1]) if said else (sample, "")


def find_dialect(sample: Sequence[str], said: str = "") -> Dialect:
    """The dialect of the first lines of a table: rows are of one length, as far as any dialect makes them so.

    `said` is the delimiter where the file names it. Without one in the header the table has one column.
    """
    found = []
    for delimiter in said or _DELIMITERS:
        if not any(delimiter in line for line in sample):
            continue
        usual = _tried(sample, delimiter, _SPACED if _is_spaced(sample, delimiter) else _USUAL)
        others = (_tried(sample, delimiter, way) for way in (*_backslashes(sample), _UNQUOTED))
        regular = usual if usual.share == 1 else next((each for each in others if each.share == 1), usual)
        if regular.width > 1:
            found.append(regular)
    if not found:
        return _tried(sample, _NO_DELIMITER, {})
    return max(found, key=lambda dialect: (dialect.share, dialect.width))


def _is_spaced(sample: Sequence[str], delimiter: str) -> bool:
    """Whether a space stands between every delimiter and the quotation mark that opens the next cell."""
    # What opens a cell is followed by its text; what ends one, or stands in one twice, is not.
    opens = re.compile(f'{re.escape(delimiter)} +"[^"\r\n{re.escape(delimiter)}]')
    return any(map(opens.search, sample)) and not any(f'{delimiter}"' in line for line in sample)


def _backslashes(sample: Sequence[str]) -> list[dict[str, Any]]:
    return [_BACKSLASHES] if any('\\"' in line for line in sample) else []


def _tried(sample: Sequence[str], delimiter: str, way: dict[str, Any]) -> Dialect:
    dialect = Dialect(delimiter, way, 0, 0.0)
    reader = dialect.reader(line.lstrip("\ufeff") for line in sample)
    widths: list[int] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                quoted = way is _UNQUOTED and any(map(_QUOTED.fullmatch, cells))
                widths.append(0 if quoted else len(cells))
    except csv.Error:
        # A row may go on behind the sample.
        if len(sample) < _SAMPLE or reader.line_num < len(sample):
            widths.append(0)
    width = next((width for width in widths if width), 0)
    return dialect._replace(width=width, share=widths.count(width) / max(len(widths), 1))


def _why(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end of data" in said:
        return "a quotation mark that opens in it is not closed"
    if "field larger" in said:
        return f"a cell has more than {csv.field_size_limit():,} characters, or a quotation mark is not closed"
    if "expected after" in said:
        return "text follows a closing quotation mark; within a quoted cell write it twice"
    return said
