"""Parquet and Arrow files as values, batch by batch: cells as JSON has them, numbers of classes as their names.

What a dataset of Hugging Face says of its columns, such as the names of its labels, is read from the metadata.
"""

import datetime
import decimal
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.data.values import Value
from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.files import parsing

if TYPE_CHECKING:
    import pyarrow

PARQUET, FILE, STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
"""How Parquet files, Arrow files (Feather, too) and Arrow streams begin."""
_BATCH = 1000
_AGAIN = "write the file again"
_METADATA = b"huggingface"

Convert = Callable[[Any], Any]


def arrow_values(path: Path, file: "io.BufferedReader[Any]") -> Iterator[Value]:
    """An object a row. Dates are ISO text, NaN is None; pictures and sounds stay bytes, {"bytes", "path"} with
    Hugging Face.

    Raises KdslError where pyarrow is missing, for a damaged file, and for a class that has no name.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise KdslError(
            f"{path}: Parquet and Arrow need pyarrow, which is not installed: {install_command('arrow')}"
        ) from error
    number = 0
    with parsing(path, "not a Parquet or Arrow file that can be read", _AGAIN):
        schema, batches = _opened(file, pyarrow)
        converters = _converters(schema)
        for batch in batches:
            batch.validate(full=True)  # else what is damaged ends the process
            for row in batch.to_pylist():
                number += 1
                try:
                    value = {name: converters[name](cell) for name, cell in row.items()}
                except _NoClass as error:
                    raise KdslError(f"{path}, row {number}: {error}") from error
                yield Value(f"row {number}", str(number), value)


def _opened(file: "io.BufferedReader[Any]", pyarrow: Any) -> "tuple[pyarrow.Schema, Iterator[pyarrow.RecordBatch]]":
    head = file.peek(len(FILE))
    if head.startswith(PARQUET):
        from pyarrow.parquet import ParquetFile

        parquet = ParquetFile(file)
        return parquet.schema_arrow, parquet.iter_batches(_BATCH)
    if head.startswith(FILE):
        reader = pyarrow.ipc.open_file(file)
        batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        return reader.schema, batches
    stream = pyarrow.ipc.open_stream(file)
    return stream.schema, iter(stream)


class _NoClass(Exception):
    """A number that is none of a class."""


def _converters(schema: "pyarrow.Schema") -> dict[str, Convert]:
    """What is done with the cells of each column."""
    said = json.loads((schema.metadata or {}).get(_METADATA, b"{}"))
    features = (said.get("info") or {}).get("features") or {}
    return {
        field.name: _named(field.name, features.get(field.name)) or (_same if _is_plain(field.type) else _plain)
        for field in schema
    }


def _same(cell: Any) -> Any:
    return cell


def _is_plain(kind: Any) -> bool:
    """Whether JSON has the cells of a type as they come: texts and whole numbers, and lists and objects of these."""
    from pyarrow import types

    if types.is_struct(kind):
        return all(_is_plain(kind.field(number).type) for number in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_plain(kind.value_type)
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind) or types.is_boolean(kind)
    )


def _named(column: str, feature: Any) -> Convert | None:
    """What gives the names of classes in cells of a column; None where there are none."""
    if isinstance(feature, list) and feature:
        return _of_each(_named(column, feature[0]))
    if not isinstance(feature, dict):
        return None
    names = feature.get("names")
    if feature.get("_type") == "ClassLabel" and isinstance(names, list):
        return lambda number: _name(column, names, number)
    if "feature" in feature:
        return _of_each(_named(column, feature["feature"]))
    if "_type" in feature:
        return None
    inner = {key: found for key, each in feature.items() if (found := _named(f"{column}.{key}", each)) is not None}
    if not inner:
        return None
    return lambda cell: cell and {key: inner.get(key, _plain)(each) for key, each in cell.items()}


def _of_each(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda cells: cells and [convert(cell) for cell in cells]


def _name(column: str, names: list[str], number: int | None) -> str | None:
    """The name of a class; -1 and None stand for a sample without one."""
    if number is None or number == -1:
        return None
    if not 0 <= number < len(names):
        raise _NoClass(f"{column!r} is class {number}, but the file names {len(names)} classes")
    return names[number]


def _plain(cell: Any) -> Any:
    """The cell as JSON has it; bytes that are text become text, others, such as pictures, stay."""
    if cell is None or isinstance(cell, str | int):
        return cell
    if isinstance(cell, float):
        return None if math.isnan(cell) else cell
    if isinstance(cell, dict):
        file = {"bytes", "path"} <= cell.keys()  # the bytes of a sound may be text by chance
        return {key: each if file and key == "bytes" else _plain(each) for key, each in cell.items()}
    if isinstance(cell, list):
        return [_plain(each) for each in cell]
    if isinstance(cell, tuple):  # an entry of a map
        return [_plain(each) for each in cell]
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return _text(cell)
    return str(cell) if isinstance(cell, decimal.Decimal | datetime.timedelta) else cell


def _text(cell: bytes) -> str | bytes:
    """Some programs write texts as bytes."""
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell
