"""What any file of samples holds, as values: JSON, tables, workbooks, Rasa's files; told apart by their content."""

import io
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from kdsl.data import rasa
from kdsl.data.arrow import FILE, PARQUET, STREAM, arrow_values
from kdsl.data.dataset_folder import data_files, tell_of_other_parts
from kdsl.data.delimited import delimited_rows, find_dialect
from kdsl.data.encoding import text_lines
from kdsl.data.json_shapes import shaped_values
from kdsl.data.notes import Notes
from kdsl.data.spreadsheet import active
from kdsl.data.table import TableRow, table_values
from kdsl.data.unpacking import open_unpacked
from kdsl.data.values import Value, json_values
from kdsl.data.workbook import workbook_rows
from kdsl.errors import KdslError

_HEAD = 512
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_TABLE_NAME = re.compile(r"\.(csv|tsv|tab|psv|txt|xls|xlsx)(\.(gz|bz2|xz|zip))?$", re.IGNORECASE)
"""Names of files whose text is a table, even of one column."""
_JSON_NAME = re.compile(r"\.(jsonl?|ndjson)(\.(gz|bz2|xz|zip))?$", re.IGNORECASE)
_YAML_NAME = re.compile(r"\.ya?ml(\.(gz|bz2|xz|zip))?$", re.IGNORECASE)
_RASA_YAML = re.compile(r"^(nlu|version)\s*:\s", re.MULTILINE)
_RASA_MARKDOWN = re.compile(r"^##\s*(intent|synonym|regex|lookup)\s*:", re.MULTILINE)
_MARKUP = re.compile(r"\ufeff?\s*<(!doctype|html|table|\?xml|\w+:)", re.IGNORECASE)
_FIRST = 50
"""Lines that the kind of text is told from."""
_REGULAR = 0.9
"""The share of rows as long as the first from which text is a table even where the file's name says JSON."""


def file_values(
    path: Path, labels: Sequence[str], content: Path | None = None, notes: Notes | None = None
) -> Iterator[Value]:
    """The values of a file in their order: of tables one object a row, by column names.

    The kind of file is told from its bytes, so that a wrong name does no harm; it may be compressed. A folder is read
    as `datasets` of Hugging Face saves it, or as all files of samples in it, if they are of one split. Of everything
    but workbooks and single JSON values only a part is in memory. `labels` help to find the encoding. `content` is a
    copy of what `path` holds, where that is a pipe. What is left out or put right is noted in `notes`.

    Raises KdslError with the line, or the sheet and row, for what is of no kind that is read, damaged or ambiguous.
    """
    notes = notes if notes is not None else Notes()
    if content is None and os.path.isdir(path):
        numbers = count(1)
        for part in data_files(path):
            with open_unpacked(part) as file:
                for value in _opened_values(part, file, labels, notes):
                    place = f"{os.path.relpath(part, path)}, {value.place}"
                    yield Value(place, str(next(numbers)), value.value)
        return
    tell_of_other_parts(path)
    with open_unpacked(path, content) as file:
        yield from _opened_values(path, file, labels, notes)


def _opened_values(path: Path, file: "io.BufferedReader[Any]", labels: Sequence[str], notes: Notes) -> Iterator[Value]:
    head = file.peek(_HEAD)[:_HEAD]
    if head.startswith(_WORKBOOK):
        yield from table_values(path, workbook_rows(path, file, notes), labels, notes)
    elif head.startswith((PARQUET, FILE, STREAM)):
        yield from arrow_values(path, file)
    else:
        yield from _text_values(path, text_lines(path, file, labels), labels, notes)


def _text_values(path: Path, lines: Iterator[tuple[int, str]], labels: Sequence[str], notes: Notes) -> Iterator[Value]:
    first = list(islice(lines, _FIRST))
    texts = [line for _, line in first]
    lines = chain(first, lines)
    start = "".join(texts).lstrip("\ufeff\x1e \t\r\n,")[:1]
    if start in ("{", "[", ""):
        yield from shaped_values(path, json_values(path, lines), notes)
    elif _YAML_NAME.search(path.name) or _RASA_YAML.search("".join(texts)):
        yield from rasa.yaml_values(path, "".join(line for _, line in lines), notes)
    elif _RASA_MARKDOWN.search("".join(texts)):
        yield from rasa.markdown_values(path, "".join(line for _, line in lines), notes)
    elif _MARKUP.match("".join(texts)):
        raise KdslError(f"{path}: is a web page or XML; save it as a workbook (.xlsx) or as CSV")
    elif _is_table(path, texts):
        rows = delimited_rows(path, lines)
        # As `kdsl convert` writes them: an apostrophe keeps spreadsheets from running or changing a cell.
        cells = (TableRow(f"line {row.line}", str(row.line), [*map(active, row.cells)]) for row in rows)
        yield from table_values(path, cells, labels, notes)
    else:
        yield from json_values(path, lines)


def _is_table(path: Path, lines: Sequence[str]) -> bool:
    if _TABLE_NAME.search(path.name):
        return True
    dialect = find_dialect(lines)
    regular = dialect.share >= _REGULAR or not _JSON_NAME.search(path.name)
    return dialect.width > 1 and regular and len(lines) > 1
