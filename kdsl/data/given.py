"""Samples that a Python program has in memory: texts, records, `Sample` objects, or a table with a column each."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, get_args

from kdsl.data import plain
from kdsl.data.forms import AS_IT_IS, HEAD, Reading, RecordReader
from kdsl.data.media import AUDIO, IMAGES
from kdsl.data.notes import Notes
from kdsl.data.plain import UNNAMED_TASK
from kdsl.data.record import Record, shown
from kdsl.errors import KdslError
from kdsl.sample import Role, Sample, Task, Turn
from kdsl.text import writable

_CONTENT = ("text", "turns", *IMAGES.keys, *AUDIO.keys)
"""Columns of a table of which it needs one."""
_ITEMS = 'a list of texts, of dicts like {"text": "…"}, of kdsl.Sample objects, or a DataFrame'


def samples_given(
    given: object,
    tasks: Sequence[Task],
    name: str,
    unread: Set[str] = frozenset(),
    reading: Reading = AS_IT_IS,
) -> list[Sample]:
    """One sample for every item of `given`, in its order; those without an id are numbered from 1.

    An item is a text, a record in any form that files may have, or a `Sample`; a DataFrame (of pandas or polars) and a
    `datasets.Dataset` have a record in each row, and may have any other columns too. A `Sample` that names no task is
    of the only one; without `tasks` every task is right.

    `reading` is as for `read_samples`. Of records the keys in `unread` are passed over. Raises KdslError, calling the
    argument by its `name`, for anything else, for a table without a text or images, for keys that no record has, and
    for an item of another task.
    """
    notes = Notes()
    items = [
        _item(item, number, name, notes, unread, reading) for number, item in enumerate(_items(given, name), start=1)
    ]
    records = [item for item in items if isinstance(item, Record)]
    reader = RecordReader(records[:HEAD], tasks, reading)
    samples = [
        _read(item, reader, tasks, _is_table(given))
        if isinstance(item, Record)
        else _of_tasks(item, tasks, f"{name}, item {number}")
        for number, item in enumerate(items, start=1)
    ]
    notes.tell(name)
    return samples


def _item(item: Any, number: int, name: str, notes: Notes, unread: Set[str], reading: Reading) -> Record | Sample:
    where = f"item {number}"
    if isinstance(item, Sample):
        _require_whole(item, f"{name}, {where}")
        return item
    if isinstance(item, str):
        item = {"text": str(item)}
    if not isinstance(item, Mapping):
        raise KdslError(f'{name}, {where}: {shown(item)} is no text, no dict like {{"text": "…"}}, and no Sample')
    for key in item:
        if not isinstance(key, str):
            raise KdslError(f"{name}, {where}: the key {shown(key)} is no text; a record has keys like 'text'")
    value = {key: value for key, value in item.items() if key not in unread}
    return Record(value, str(number), name, where, notes, reading.labels, reading.folders)


def _is_table(given: object) -> bool:
    return hasattr(given, "columns") or hasattr(given, "column_names")


def _items(given: object, name: str) -> Iterable[Any]:
    if _is_table(given):
        return _rows(given, name)
    if isinstance(given, str | bytes | Mapping | Sample | Set) or not isinstance(
        given, Iterable
    ):  # a set has no order
        raise KdslError(f"{name} is {shown(given)}; give {_ITEMS}")
    shape = getattr(given, "shape", (0,))
    if len(shape) != 1:
        raise KdslError(f"{name} is an array of shape {tuple(shape)}; give {_ITEMS}")
    return given


def _rows(table: Any, name: str) -> list[dict[str, Any]]:
    """Of the table the columns that records have, or all where none of them says or shows anything.

    An empty cell is None; a class label of `datasets` is its name, each in a list of them too.
    """
    given = list(table.columns if hasattr(table, "columns") else table.column_names)
    columns = [column for column in given if column in plain.KEYS]
    if not set(columns) & set(_CONTENT):
        columns = [column for column in given if isinstance(column, str)]
    if not columns:
        has = ", ".join(map(shown, given[:8])) or "none"
        raise KdslError(f"{name}: the table has no column text, turns, images or audio; its columns are {has}")
    for column in columns:
        if columns.count(column) > 1:
            raise KdslError(
                f"{name}: the table has {columns.count(column)} columns called {column!r}; keep one of them"
            )
    cells = [_cells(table, column) for column in columns]
    return [
        {column: None if is_empty(value) else _plain(value) for column, value in zip(columns, row, strict=True)}
        for row in zip(*cells, strict=True)
    ]


def is_empty(value: Any) -> bool:
    """None, and NaN or NaT, by which tables tell that a cell is empty."""
    return value is None or (not isinstance(value, str | list | tuple | dict) and bool(_unequal(value)))


def _unequal(value: Any) -> bool:
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA; an array in a cell
        return type(value).__name__ == "NAType"


def _cells(table: Any, column: str) -> list[Any]:
    feature = table.features.get(column) if hasattr(table, "features") else None
    inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", feature)
    names = getattr(inner, "names", None)
    cells = list(table[column])
    return cells if names is None else [_class_name(cell, names) for cell in cells]


def _class_name(cell: Any, names: Sequence[str]) -> Any:
    """Of a class label of `datasets`, or of each in a list of them; None where there is none."""
    if isinstance(cell, list):
        return [_class_name(each, names) for each in cell]
    return None if cell is None or cell < 0 else names[cell]


def _plain(value: Any) -> Any:
    """Without numpy's own types: of a cell its Python value."""
    if isinstance(value, tuple):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _read(record: Record, reader: RecordReader, tasks: Sequence[Task], is_table: bool) -> Sample:
    notes = record.notes
    sample = reader.read(record)
    if notes.unread:
        (key, remedy), _ = next(iter(notes.unread.items()))
        raise record.error(f"the key {key!r} is not read; {remedy}")
    if notes.unused and not is_table:
        keys = ", ".join(sorted(plain.KEYS))
        raise record.error(f"unknown key {next(iter(notes.unused))!r}; a record has the keys {keys}")
    if sample is None:
        raise record.error(_other_task(record.value.get("task"), tasks))
    return sample


def _require_whole(sample: Sample, place: str) -> None:
    """Raise KdslError for a Sample that a program filled with something else than its fields hold."""
    if not isinstance(sample.turns, tuple | list) or not all(isinstance(turn, Turn) for turn in sample.turns):
        raise KdslError(f"{place}: turns is {shown(sample.turns)}; it must be a tuple of kdsl.Turn")
    for number, turn in enumerate(sample.turns, start=1):
        if turn.role not in get_args(Role):
            raise KdslError(f"{place}: the role of turn {number} is {shown(turn.role)}; it must be 'user' or 'agent'")
    for what, names in (("images", sample.images), ("audio", sample.audio)):
        if not isinstance(names, tuple | list):
            raise KdslError(f"{place}: {what} is {shown(names)}; it must be a tuple of file names")
    texts = {"id": sample.id, **{f"the text of turn {n}": turn.text for n, turn in enumerate(sample.turns, start=1)}}
    files = [("an image", image) for image in sample.images] + [("a sound", sound) for sound in sample.audio]
    for what, value in [*texts.items(), *files]:
        if not isinstance(value, str):
            raise KdslError(f"{place}: {what} is {shown(value)}; it must be text")
        if writable(value) != value:
            raise KdslError(
                f"{place}: {what} is {value!r:.80} with half a character, which no file can hold; remove it"
            )


def _of_tasks(sample: Sample, tasks: Sequence[Task], place: str) -> Sample:
    if not tasks or any(task.name == sample.task for task in tasks):
        return sample
    if sample.task in ("", UNNAMED_TASK) and len(tasks) == 1:
        return replace(sample, task=tasks[0].name)
    raise KdslError(f"{place}: {_other_task(sample.task, tasks)}")


def _other_task(name: object, tasks: Sequence[Task]) -> str:
    return f"the task {shown(name)} is none of {', '.join(task.name for task in tasks)}"
