"""CSV tables that KDSL writes and gets back from spreadsheets: cells that they change, spoiled texts."""

import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from kdsl.data.charset import USUAL
from kdsl.data.delimited import Row, delimited_rows
from kdsl.errors import KdslError

_RUN = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""A cell that begins like this is a formula; the wide ones are in Chinese and Japanese spreadsheets."""
_CONVERTED = re.compile(
    r"(?=.*\d)(?:[\d\s.,:/%()+$¥￥€£年月日时時分秒-]|e(?=[+\d-])|[ap]m|jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)+"
    r"|true|false",
    re.IGNORECASE,
)
"""What a spreadsheet takes for a number, a date or a truth value and writes back in another form: 007, 1-2, 3月5日."""


def inert(cell: str) -> str:
    """The cell behind an apostrophe where a spreadsheet would run or convert it.

    >>> inert("=1+1"), inert("007"), inert("note")
    ("'=1+1", "'007", 'note')
    """
    return f"'{cell}" if cell.startswith((*_RUN, "'")) or _CONVERTED.fullmatch(cell) else cell


def active(cell: str) -> str:
    """The cell that `inert` was given."""
    return cell[1:] if cell.startswith("'") and inert(cell[1:]) != cell[1:] else cell


def read_rows(path: Path, text: str, needed: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row of a table that has the columns `needed`; `path` is for errors.

    Columns may be in any order, separated by commas, semicolons or tabs; empty rows and empty columns behind the last
    one are passed over. Raises KdslError with the line.
    """
    rows = delimited_rows(path, enumerate(io.StringIO(text, newline=""), start=1))
    header = _cut([name.strip() for name in next(rows, Row(1, [])).cells])
    missing = [name for name in needed if name not in header]
    if missing:
        raise KdslError(f"{path}, line 1: no column {missing[0]!r}; edit what `kdsl rules export` wrote")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise KdslError(f"{path}, line 1: has two columns {twice!r}; keep one of them")
    for line, cells in rows:
        row = _cut(cells) if len(cells) > len(header) else cells
        if len(row) != len(header):
            raise KdslError(f"{path}, line {line}: has {len(row)} cells, the header {len(header)}")
        yield line, dict(zip(header, map(active, row), strict=True))


def _cut(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def garbled(known: str, cell: str) -> bool:
    """Whether `cell` is what `known` becomes on the way through one wrong encoding, which nobody writes.

    >>> garbled("Größe", "GrÃ¶ÃŸe"), garbled("太宽", "??"), garbled("太宽", "too broad")
    (True, True, False)
    """
    if cell == known or known.isascii():
        return False
    return replaced(known, cell) or any(_through(known, one, two) == cell for one in USUAL for two in USUAL)


def replaced(known: str, cell: str) -> bool:
    """Whether `cell` is `known` with question marks for characters that an encoding lacks."""
    return cell != known and any(_with_marks(known, cell, width) for width in (1, 2))


def _with_marks(known: str, cell: str, width: int) -> bool:
    """`width`: question marks for one character beyond 16 bits, which some programs write as two."""
    at = 0
    for character in known:
        if cell.startswith(character, at):
            at += 1
            continue
        marks = "?" * (width if ord(character) > 0xFFFF else 1)
        if character.isascii() or not cell.startswith(marks, at):
            return False
        at += len(marks)
    return at == len(cell)


def _through(text: str, one: str, two: str) -> str:
    return text.encode(one, "replace").decode(two, "replace")
