"""Reading samples from MIRE json, ShareGPT and plain records, as a JSON list or as JSON Lines."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdsl.data.mire import read_mire
from kdsl.data.plain import read_plain
from kdsl.data.record import Notes, Record, record_at
from kdsl.data.sharegpt import read_sharegpt
from kdsl.errors import KdslError
from kdsl.files import read_json, read_jsonl
from kdsl.sample import Sample, SampleKey, Task

_log = logging.getLogger(__name__)


def read_samples(path: Path, tasks: Sequence[Task]) -> list[Sample]:
    """All samples of a file that belong to one of `tasks`, in the order of the file; the format is detected.

    Raises KdslError with the line or element for anything of another shape, for a record without an id whose number is
    the id of another one, and for a file without samples. Samples of
    other tasks are left out, and halves of surrogate pairs replaced, each with a counted warning. Labels are not
    compared with the task's: see `kdsl.data.checks` and `kdsl.sample.label_indices`.
    """
    return list(iterate_samples(path, tasks))


def iterate_samples(path: Path, tasks: Sequence[Task]) -> Iterator[Sample]:
    """Like `read_samples`, one sample at a time; of JSON Lines only one line is in memory."""
    return (sample for _, sample in iterate_records(path, tasks))


def iterate_records(path: Path, tasks: Sequence[Task]) -> Iterator[tuple[Record, Sample]]:
    """Like `iterate_samples`, with the record of each, for what it says besides."""
    notes, ids = Notes(), _Ids()
    records = samples = 0
    for record in _records(path, notes):
        records += 1
        sample = _read(record, tasks)
        if sample is not None:
            samples += 1
            ids.take(record, sample.key)
            yield record, replace(sample, copy_of=record.copy_of()) if "copy_of" in record.value else sample
    if not records:
        raise KdslError(f"{path}: holds no samples; give a JSON list or one JSON object a line")
    _tell(path, notes)
    if not samples:
        names = ", ".join(task.name for task in tasks)
        raise KdslError(f"{path}: holds no samples of the project's tasks ({names}); name their task in `tasks:`")


class _Ids:
    """The ids of a file, as far as a record's number may be taken for one."""

    def __init__(self) -> None:
        self._given: dict[SampleKey, str] = {}
        self._numbers: dict[SampleKey, str] = {}

    def take(self, record: Record, key: SampleKey) -> None:
        """Raises KdslError where a record without an id would go by the id of another one."""
        identity = key[1]
        if record.value.get("id") is None:
            if key in self._given:
                raise record.error(
                    f"has no id and would go by its number {identity}, which is the id in {self._given[key]}; give "
                    "every record an id, or none"
                )
            self._numbers[key] = record.place
        elif identity.isdecimal():
            if key in self._numbers:
                raise record.error(
                    f"the id {identity!r} is the number of {self._numbers[key]}, which has no id and goes by it; give "
                    "every record an id, or none"
                )
            self._given[key] = record.place


def _records(path: Path, notes: Notes) -> Iterator[Record]:
    if _first_character(path) != b"[":
        for number, value in read_jsonl(path):
            yield record_at(path, "line", number, value, notes)
        return
    values: list[Any] = read_json(path)
    for number, value in enumerate(values, start=1):
        yield record_at(path, "element", number, value, notes)


def _first_character(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            while chunk := file.read(4096):
                chunk = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()
                if chunk:
                    return chunk[:1]
    except FileNotFoundError as error:
        raise KdslError(f"{path}: no such file") from error
    except OSError as error:
        raise KdslError(f"{path}: cannot be read ({error.strerror})") from error
    return b""


def _read(record: Record, tasks: Sequence[Task]) -> Sample | None:
    keys = record.value.keys()
    if "instruction" in keys:
        return read_mire(record, tasks)
    if "messages" in keys or "conversations" in keys:
        return read_sharegpt(record, tasks)
    if keys & {"text", "turns", "images", "image"}:
        return read_plain(record, tasks)
    raise record.error(
        f"a sample has the key instruction (MIRE), messages or conversations (ShareGPT), text, turns or images; "
        f"this one has {', '.join(map(repr, keys)) or 'none'}"
    )


def _tell(path: Path, notes: Notes) -> None:
    if notes.other_tasks:
        kinds = ", ".join(f"{count} with {name}" for name, count in notes.other_tasks.items())
        _log.warning("%s: %d samples of other tasks left out (%s)", path, notes.other_tasks.total(), kinds)
    if notes.replaced_surrogates:
        _log.warning("%s: half characters replaced in %d texts", path, notes.replaced_surrogates)
