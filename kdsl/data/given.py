"""Samples that a Python program has in memory: texts, records, `Sample` objects, or a table with a column each."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from kdsl.data import plain
from kdsl.data.notes import Notes
from kdsl.data.plain import UNNAMED_TASK
from kdsl.data.readers import read_record
from kdsl.data.record import Record, shown
from kdsl.errors import KdslError
from kdsl.sample import Sample, Task

_CONTENT = ("text", "turns", "images", "image")
"""Columns of a table of which it needs one."""
_ITEMS = 'a list of texts, of dicts like {"text": "…"}, of kdsl.Sample objects, or a DataFrame'


def samples_given(given: object, tasks: Sequence[Task], name: str, unread: Set[str] = frozenset()) -> list[Sample]:
    """One sample for every item of `given`, in its order; those without an id are numbered from 1.

    An item is a text, a record in any form that files may have, or a `Sample`; a DataFrame (of pandas or polars) has
    a record in each row, and may have any other columns too. A `Sample` that names no task is of the only one; without
    `tasks` every task is right.

    Raises KdslError, calling the argument by its `name`, for anything else, for a table without a text or images, for
    keys that no record has, and for an item of another task. Of records the keys in `unread` are passed over.
    """
    notes, samples = Notes(), []
    for number, item in enumerate(_items(given, name), start=1):
        where = f"item {number}"
        if isinstance(item, Sample):
            samples.append(_of_tasks(item, tasks, f"{name}, {where}"))
            continue
        if isinstance(item, str):
            item = {"text": str(item)}
        if not isinstance(item, Mapping):
            raise KdslError(f'{name}, {where}: {shown(item)} is no text, no dict like {{"text": "…"}}, and no Sample')
        record = Record({k: v for k, v in item.items() if k not in unread}, str(number), name, where, notes)
        samples.append(_read(record, tasks))
    notes.tell(name)
    return samples


def _items(given: object, name: str) -> Iterable[Any]:
    if hasattr(given, "columns"):
        return _rows(given, name)
    if isinstance(given, str | bytes | Mapping | Sample) or not isinstance(given, Iterable):
        raise KdslError(f"{name} is {shown(given)}; give {_ITEMS}")
    shape = getattr(given, "shape", (0,))
    if len(shape) != 1:
        raise KdslError(f"{name} is an array of shape {tuple(shape)}; give {_ITEMS}")
    return given


def _rows(table: Any, name: str) -> list[dict[str, Any]]:
    """Of the table the columns that records have; an empty cell is None."""
    columns = [column for column in table.columns if column in plain.KEYS]
    if not set(columns) & set(_CONTENT):
        has = ", ".join(map(shown, list(table.columns)[:8])) or "none"
        raise KdslError(f"{name}: the table has no column text, turns or images; its columns are {has}")
    cells = [list(table[column]) for column in columns]
    return [
        {column: None if _empty(value) else _plain(value) for column, value in zip(columns, row, strict=True)}
        for row in zip(*cells, strict=True)
    ]


def _empty(value: Any) -> bool:
    """None, and NaN or NaT, by which tables tell that a cell is empty."""
    return value is None or (not isinstance(value, str | list | tuple | dict) and bool(_unequal(value)))


def _unequal(value: Any) -> bool:
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA; an array in a cell
        return type(value).__name__ == "NAType"


def _plain(value: Any) -> Any:
    """Without numpy's own types: of a cell its Python value."""
    if isinstance(value, tuple):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _read(record: Record, tasks: Sequence[Task]) -> Sample:
    notes = record.notes
    sample = read_record(record, tasks)
    if notes.unread:
        (key, remedy), _ = next(iter(notes.unread.items()))
        raise record.error(f"the key {key!r} is not read; {remedy}")
    if notes.unused:
        keys = ", ".join(sorted(plain.KEYS))
        raise record.error(f"unknown key {next(iter(notes.unused))!r}; a record has the keys {keys}")
    if sample is None:
        raise record.error(_other_task(record.value.get("task"), tasks))
    return sample


def _of_tasks(sample: Sample, tasks: Sequence[Task], place: str) -> Sample:
    if not tasks or any(task.name == sample.task for task in tasks):
        return sample
    if sample.task in ("", UNNAMED_TASK) and len(tasks) == 1:
        return replace(sample, task=tasks[0].name)
    raise KdslError(f"{place}: {_other_task(sample.task, tasks)}")


def _other_task(name: object, tasks: Sequence[Task]) -> str:
    return f"the task {shown(name)} is none of {', '.join(task.name for task in tasks)}"
