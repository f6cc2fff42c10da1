"""Records as the bytes of a file: JSON, JSON Lines, CSV, Excel, Parquet, and Rasa's YAML."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from kdsl.data.spreadsheet import inert
from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.json_file import jsonl_bytes
from kdsl.text import writable

Records = Sequence[dict[str, Any]]

SHEET_ROWS, CELL_CHARACTERS = 1_048_576, 32_767
"""What a sheet of Excel holds at most."""

_ALWAYS = ("id", "text", "label")
"""Columns that a table has although they are empty."""
_PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
"""What a spreadsheet writes back as it was, though it takes it for a number."""
_NOT_IN_YAML = re.compile(r"[^\t\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]+|[\u2028\u2029]")


def json_list(records: Records) -> bytes:
    return (json.dumps(records, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")


def json_lines(records: Records) -> bytes:
    return jsonl_bytes(records)


def csv_table(records: Records) -> bytes:
    """With a byte order mark, without which spreadsheet programs misread Chinese.

    A cell that they would run as a formula or change begins with an apostrophe; a plain number does not.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = _columns(records)
    writer.writerow(columns)
    for record in records:
        cells = [_cell(record.get(column)) for column in columns]
        writer.writerow([inert(c) if isinstance(c, str) and not _PLAIN_NUMBER.fullmatch(c) else c for c in cells])
    return text.getvalue().encode("utf-8-sig", "replace")


def excel_sheet(records: Records) -> bytes:
    """A workbook of one sheet, in which texts are texts, whatever they look like.

    Raises KdslError for more rows than a sheet, or more characters than a cell holds, and without XlsxWriter.
    """
    try:
        from xlsxwriter import Workbook
    except ModuleNotFoundError as error:
        raise KdslError(f"to write Excel needs {error.name}: {install_command('excel')}, or write .csv") from error
    if len(records) >= SHEET_ROWS:
        raise KdslError(f"{len(records):,} samples are more than the rows of an Excel sheet; write .csv or .parquet")
    file, columns = io.BytesIO(), _columns(records)
    workbook = Workbook(file, {"in_memory": True})
    sheet = workbook.add_worksheet("samples")
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(columns):
        sheet.write_string(0, column, name, workbook.add_format({"bold": True}))
    for row, record in enumerate(records, start=1):
        for column, name in enumerate(columns):
            cell = _cell(record.get(name))
            if isinstance(cell, float):
                sheet.write_number(row, column, cell)
            elif len(cell) > CELL_CHARACTERS:
                raise KdslError(
                    f"sample {record['id']!r}: {name} has {len(cell):,} characters, an Excel cell holds "
                    f"{CELL_CHARACTERS:,}; write .csv or .parquet"
                )
            elif cell:
                sheet.write_string(row, column, writable(cell))
    workbook.close()
    return file.getvalue()


def parquet_table(records: Records) -> bytes:
    """With turns, images and sounds as lists; KdslError without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise KdslError(f"to write Parquet needs {error.name}: {install_command('arrow')}, or write .csv") from error
    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    heard = [("audio", texts)] if any(record.get("audio") for record in records) else []
    turn = pyarrow.struct([("role", text), ("text", text), ("images", texts), *heard])
    numbers = {"confidence": pyarrow.float64(), "runner_up_confidence": pyarrow.float64()}
    types = {"turns": pyarrow.list_(turn), "images": texts, "audio": texts, "rules": texts, **numbers}
    schema = pyarrow.schema([(column, types.get(column, text)) for column in _columns(records)])
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(records), schema), file)
    return file.getvalue()


def rasa_yaml(records: Records) -> bytes:
    """Training data for Rasa's NLU: the examples of each intent, one a line."""
    examples: dict[str, list[str]] = {}
    for record in records:
        examples.setdefault(record["intent"], []).append(rasa_line(record["example"]))
    parts = ['version: "3.1"\nnlu:\n']
    for intent, lines in examples.items():
        parts.append(f"- intent: {json.dumps(intent, ensure_ascii=False)}\n  examples: |\n")
        parts.extend(f"    - {line}\n" for line in lines)
    return "".join(parts).encode("utf-8", "replace")


def rasa_line(text: str) -> str:
    """The text in one line, without what YAML does not have."""
    return _NOT_IN_YAML.sub(" ", text).strip()


def _columns(records: Iterable[dict[str, Any]]) -> list[str]:
    """Those in which any record holds something."""
    filled: dict[str, bool] = {}
    for record in records:
        for column, value in record.items():
            filled[column] = filled.get(column, False) or value not in (None, "", [])
    return [column for column, any_value in filled.items() if any_value or column in _ALWAYS]


def _cell(value: Any) -> str | float:
    """A number as one, a list of names that hold no space as they are, another list as JSON."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        if not value:
            return ""
        if len(value) == 1 and isinstance(value[0], str) and not value[0].startswith(("[", "data:")):
            return value[0]
        return json.dumps(value, ensure_ascii=False)
    return str(value)
