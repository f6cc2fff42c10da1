"""Files that are one JSON object: samples under a key, and tables as pandas and others write them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from kdsl.data.forms import is_sample
from kdsl.data.keys import meant_exactly
from kdsl.data.notes import Notes
from kdsl.data.values import Value
from kdsl.errors import KdslError

_WRAPPERS = {"data", "samples", "records", "items", "examples", "rows"}
"""Keys under which any object may list samples."""
_SPEAKER = {"role", "from", "speaker", "sender", "author"}
_TURNS = {"messages", "conversations", "turns"}


def shaped_values(path: Path, values: Iterator[Value], notes: Notes) -> Iterator[Value]:
    """The values; of a file that is one object, the samples in it, if it is none itself.

    Read are {"data": [sample, …]}, with any key if it is all of the file; tables: {"columns": [name, …], "data":
    [[cell, …], …]}, {name: [cell, …], …}, {name: {row: cell}, …}, {row: {name: cell}, …}; and Rasa's {"rasa_nlu_data":
    …}. Raises KdslError for several lists of objects, and for rows and columns of different lengths.
    """
    first, second = next(values, None), next(values, None)
    if first is None:
        return
    if second is not None or not isinstance(first.value, dict):
        for value in chain([first], [] if second is None else [second], values):
            yield from _wrapped(path, value, alone=False)
        return
    yield from _inside(path, first, first.value, notes)


def _inside(path: Path, found: Value, value: dict[str, Any], notes: Notes) -> Iterator[Value]:
    rasa = value.get("rasa_nlu_data")
    if isinstance(rasa, dict):
        yield from _rasa(path, rasa, notes)
    elif _is_split_table(value):
        for number, cells in enumerate(value["data"], start=1):
            if not isinstance(cells, list) or len(cells) != len(value["columns"]):
                raise KdslError(f"{path}, row {number} of 'data': is not a list of {len(value['columns'])} cells")
            yield Value(f"row {number}", str(number), dict(zip(value["columns"], cells, strict=True)))
    elif _is_columns(value):
        first = next(iter(value))
        other = next((name for name, column in value.items() if len(column) != len(value[first])), None)
        if other is not None:
            raise KdslError(
                f"{path}: the columns {first!r} and {other!r} have {len(value[first])} and {len(value[other])} cells; "
                "they must be as long"
            )
        for number, cells in enumerate(zip(*value.values(), strict=True), start=1):
            yield Value(f"row {number}", str(number), dict(zip(value, cells, strict=True)))
    elif _is_nested(value):
        by_row = _turned(value) if _names_columns(value) else value
        for number, (row, record) in enumerate(by_row.items(), start=1):
            yield Value(f"row {row!r}", str(number), {"id": row, **record})
    else:
        yield from _wrapped(path, found, alone=True)


def _is_split_table(value: dict[str, Any]) -> bool:
    columns = value.get("columns")
    return isinstance(columns, list) and all(isinstance(name, str) for name in columns) and _list(value, "data")


def _list(value: dict[str, Any], key: str) -> bool:
    return isinstance(value.get(key), list)


def _is_columns(value: dict[str, Any]) -> bool:
    """Lists of cells; what a sample lists, its turns, are objects, and were meant to be."""
    return (
        all(isinstance(column, list) for column in value.values())
        and not any(isinstance(cell, str) for key in value.keys() & _TURNS for cell in value[key])
        and any(value.values())
        and not any(isinstance(cell, dict) for column in value.values() for cell in column)
        and any(meant_exactly(key) in ("text", "label") for key in value)
    )


def _is_nested(value: dict[str, Any]) -> bool:
    """Objects that all have the same keys, with cells in them."""
    inner = list(value.values())
    return (
        len(value) > 1
        and all(isinstance(each, dict) and each for each in inner)
        and all(each.keys() == inner[0].keys() for each in inner)
        and _names_columns(value) != _names_columns(inner[0])
    )


def _names_columns(value: dict[str, Any]) -> bool:
    return any(meant_exactly(key) in ("text", "label") for key in value)


def _turned(columns: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{row: {name: cell}} of {name: {row: cell}}."""
    rows = next(iter(columns.values()))
    return {row: {name: cells[row] for name, cells in columns.items()} for row in rows}


def _wrapped(path: Path, found: Value, alone: bool) -> Iterator[Value]:
    """The objects listed under one key, which may be any where the value is `alone` in its file.

    The value itself where it is a sample, which may list its turns.
    """
    value = found.value
    lists = [] if not isinstance(value, dict) or is_sample(value) else [*_lists(value, alone)]
    if not lists:
        yield found
        return
    if len(lists) > 1:
        names = ", ".join(map(repr, lists))
        raise KdslError(f"{path}, {found.place}: lists objects under {names}; give a file for each, or one list")
    for number, element in enumerate(value[lists[0]], start=1):
        yield Value(f"{found.place}, element {number}", f"{number}" if alone else f"{found.number}.{number}", element)


def _lists(value: dict[str, Any], alone: bool) -> Iterator[str]:
    """The keys under which samples are listed."""
    told = any(meant_exactly(key) in ("text", "label", "id") for key in value if not isinstance(value[key], list))
    for key, inner in value.items():
        if isinstance(inner, list) and (key in _WRAPPERS or (alone and not told and _all_records(inner))):
            yield key


def _all_records(elements: Sequence[Any]) -> bool:
    """Whether these are objects, and no turns, of which each says who speaks."""
    return bool(elements) and all(isinstance(each, dict) and not each.keys() & _SPEAKER for each in elements)


def _rasa(path: Path, data: dict[str, Any], notes: Notes) -> Iterator[Value]:
    """The examples of Rasa's JSON, whose texts have no marks; `entities` stand beside them."""
    number = 0
    for key, examples in data.items():
        if not isinstance(examples, list):
            raise KdslError(f"{path}: {key!r} in 'rasa_nlu_data' is no list")
        for place, example in enumerate(examples, start=1):
            if key not in ("common_examples", "intent_examples", "entity_examples"):
                notes.note(f"items {key!r} left out", f"element {place}")
            else:
                number += 1
                yield Value(f"{key}, element {place}", str(number), example)
