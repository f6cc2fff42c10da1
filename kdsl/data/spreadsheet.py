"""CSV tables that spreadsheets read and write: cells that they change, encodings, delimiters, spoiled texts."""

import csv
import encodings
import io
import pkgutil
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from kdsl.errors import KdslError

USUAL = (
    "utf_8", "gb18030", "big5", "cp950", "big5hkscs", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949", "cp1252",
    "mac_roman", "cp1250", "cp1251",
)  # fmt: skip
"""Encodings by the name that Python knows them by, the first to be named where several are alike."""
_NOT_OF_FILES = {
    "aliases", "ascii", "charmap", "idna", "mbcs", "oem", "punycode", "raw_unicode_escape", "undefined", "utf_7",
    "utf_16", "utf_32", "utf_8_sig", "unicode_escape",
}  # fmt: skip
_MARKS = (
    (b"\xef\xbb\xbf", "utf_8"), (b"\xff\xfe\x00\x00", "utf_32_le"), (b"\x00\x00\xfe\xff", "utf_32_be"),
    (b"\xff\xfe", "utf_16_le"), (b"\xfe\xff", "utf_16_be"),
)  # fmt: skip
_DELIMITERS = ",;\t"
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


def marked(data: bytes) -> tuple[str, str] | None:
    """(encoding, text) of a file that begins with a byte order mark, which leaves no doubt; None for any other.

    Raises UnicodeDecodeError where the rest does not follow the mark.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, data[len(mark) :].decode(encoding)
    return None


def decodings(data: bytes) -> Iterator[tuple[str, str]]:
    """(encoding, text) of everything that the bytes can be, the usual encodings first; no text twice."""
    seen = set()
    for encoding in _all_encodings():
        try:
            text = data.decode(encoding)
        except (UnicodeError, LookupError):  # no text encoding, or one of another system
            continue
        if text not in seen:
            seen.add(text)
            yield encoding, text


@cache
def _all_encodings() -> list[str]:
    names = {module.name for module in pkgutil.iter_modules(encodings.__path__)} - _NOT_OF_FILES
    return [*USUAL, *sorted(names - set(USUAL))]


def read_rows(path: Path, text: str, needed: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row of a table that has the columns `needed`; `path` is for errors.

    Columns may be in any order, separated by commas, semicolons or tabs; empty rows and empty columns behind the last
    one are passed over. Raises KdslError with the line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    line = 1
    try:
        header = _cut([name.strip() for name in next(reader, [])])
        missing = [name for name in needed if name not in header]
        if missing:
            raise KdslError(f"{path}, line 1: no column {missing[0]!r}; edit what `kdsl rules export` wrote")
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise KdslError(f"{path}, line 1: has two columns {twice!r}; keep one of them")
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = _cut(cells) if len(cells) > len(header) else cells
                if len(row) != len(header):
                    raise KdslError(f"{path}, line {line}: has {len(row)} cells, the header {len(header)}")
                yield line, dict(zip(header, map(active, row), strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise KdslError(f"{path}, line {line}: not a CSV table ({error})") from error


def _delimiter(text: str) -> str:
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return max(_DELIMITERS, key=header.count)


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
