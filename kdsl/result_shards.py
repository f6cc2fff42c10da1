"""Records of a file of JSON Lines, or of results over shards: a folder of Parquet files, or one of them.

Results over shards hold the records that the same command writes to JSON Lines, a row each. What a record may lack is
null in its row, and is left out again here.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.files import opened, parsing
from kdsl.json_file import read_jsonl

if TYPE_CHECKING:
    import pyarrow

PARQUET = ".parquet"
_BATCH = 1000
_NULL = "label"
"""The only key that stands in a record though it has nothing to say: a person is to decide."""

_Convert = Callable[[Any], Any]


def records_at(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(its place, for messages; an object) for each record, streaming: of shards in the order of their names.

    Raises KdslError for a bad line, a folder without results, and a shard that cannot be read.
    """
    if os.path.isdir(path):  # unlike Path.is_dir, of any name
        shards = result_shards(path)
        if not shards:
            raise KdslError(f"{path}: has no results of shards (.parquet); name the folder that --output named")
        for shard in shards:
            yield from _rows(shard)
    elif path.suffix == PARQUET:
        yield from _rows(path)
    else:
        for line, record in read_jsonl(path):
            yield f"{path}, line {line}", record


def result_shards(folder: Path) -> list[Path]:
    """The results below a folder, by name. What begins with an underscore is no result: such are tables of errors."""
    found = [path for path in folder.rglob(f"*{PARQUET}") if path.is_file()]
    return sorted(p for p in found if not any(part[0] in "._" for part in p.relative_to(folder).parts))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise KdslError(
            f"{path}: Parquet needs pyarrow, which is not installed: {install_command('arrow')}"
        ) from error
    number = 0
    with opened(path) as file, parsing(path, "not a Parquet file that can be read", "work on its shard again"):
        parquet = ParquetFile(file)
        convert = _struct({field.name: field.type for field in parquet.schema_arrow})
        for batch in parquet.iter_batches(_BATCH):
            batch.validate(full=True)  # else what is damaged ends the process
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", _of_one_label(convert(row))


def _of_one_label(record: dict[str, Any]) -> dict[str, Any]:
    """A prediction of a task with one label a sample: beside tasks with several its row has a list of one, too."""
    decision = record.get("decision")
    if "decisions" not in record and isinstance(decision, dict) and isinstance(decision["label_without_rules"], list):
        for part, key in ((record, "label"), (record["model"], "label"), (decision, "label_without_rules")):
            part[key] = None if part[key] is None else part[key][0]
    return record


def _converter(kind: "pyarrow.DataType") -> _Convert:
    """What makes JSON of a cell that pyarrow made Python of: an object of a map, which is a list of pairs there."""
    from pyarrow import types

    if types.is_map(kind):
        of_item = _converter(kind.item_type)
        return lambda cell: {key: of_item(item) for key, item in cell}
    if types.is_struct(kind):
        return _struct({kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)})
    if types.is_list(kind):
        of_value = _converter(kind.value_type)
        return lambda cell: [of_value(value) for value in cell]
    return lambda cell: cell


def _struct(kinds: "Mapping[str, pyarrow.DataType]") -> _Convert:
    converters = {name: _converter(kind) for name, kind in kinds.items()}

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: None if cell is None else converters[name](cell)
            for name, cell in row.items()
            if cell is not None or name == _NULL
        }

    return convert
