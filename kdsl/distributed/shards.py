"""Shards: files of samples below one address, and the samples of each; a row that makes no sense is told apart."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from kdsl.data.containers import file_values
from kdsl.data.forms import HEAD, Reading, RecordReader
from kdsl.data.notes import Notes
from kdsl.data.record import Record, record_at
from kdsl.data.values import Value, line_value
from kdsl.distributed.step import Problem
from kdsl.distributed.storage import Storage, StoredFile
from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.files import opened
from kdsl.sample import Sample, SampleKey, Task

ENDINGS = (".parquet", ".jsonl")
RESULT = ".parquet"
_FOOTERS_AT_ONCE = 16
_COLUMNS_SHOWN = 12
_LONGEST_NAME = 255
"""Bytes that file systems allow for one part of a path."""


@dataclass(frozen=True)
class Shard:
    """A file of samples; its result goes by the same name."""

    name: str
    size: int
    stamp: str

    @property
    def result(self) -> str:
        """The name of what comes of it."""
        return str(PurePosixPath(self.name).with_suffix(RESULT))


class ShardError(KdslError):
    """A shard of which nothing can be read; it concerns no other one."""


def find_shards(storage: Storage) -> list[Shard]:
    """All shards below an address, by name; the address may be a single one.

    Raises KdslError where nothing is there, nothing of it is a shard, two would have one result, and where shards of
    Parquet have other columns than the first of them.
    """
    if storage.is_file():
        raise KdslError(f"{storage.address}: is a file; name the folder of shards that it lies in")
    if not storage.exists():
        raise KdslError(f"{storage.address}: no such folder; name one with shards that end in .parquet or .jsonl")
    files = [file for file in storage.files() if file.name.endswith(ENDINGS)]
    if not files:
        raise KdslError(f"{storage.address}: holds no shards; these are files that end in .parquet or .jsonl")
    by_result: dict[str, StoredFile] = {}
    shards = []
    for file in files:
        shard = Shard(file.name, file.size, file.stamp)
        other = by_result.setdefault(shard.result, file)
        if other is not file:
            raise KdslError(
                f"{storage.address}: the results of {other.name} and {file.name} would have one name; rename one of "
                "them"
            )
        _require_name(storage, shard)
        shards.append(shard)
    _require_one_schema(storage, shards)
    return shards


def _require_name(storage: Storage, shard: Shard) -> None:
    """Raise KdslError for a name that no result can go by."""
    try:
        size = len(PurePosixPath(shard.result).name.encode())
    except UnicodeEncodeError as error:
        raise KdslError(f"{storage.place(shard.name)!a}: the name is not UTF-8; rename the shard") from error
    if size > _LONGEST_NAME:
        raise KdslError(
            f"{storage.place(shard.name)}: the name of its result would have {size} bytes, and {_LONGEST_NAME} are "
            "possible; rename it"
        )


def _require_one_schema(storage: Storage, shards: Sequence[Shard]) -> None:
    """Of JSON Lines every record says what it holds; shards of Parquet are to have one schema."""
    parquet = [shard for shard in shards if shard.name.endswith(".parquet") and shard.size]
    if not parquet:
        return
    require_parquet(storage.address)

    def columns(shard: Shard) -> tuple[str, ...] | None:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_schema

        with storage.opened(shard.name) as file:
            try:
                return tuple(read_schema(file).names)
            except (ArrowException, OSError):  # damaged: told with the other problems when its turn comes
                return None

    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        found = [each for each in zip(parquet, pool.map(columns, parquet), strict=True) if each[1] is not None]
    for shard, names in found[1:]:
        first, expected = found[0]
        assert names is not None and expected is not None
        if set(names) != set(expected):
            raise KdslError(
                f"{storage.place(shard.name)}: has the columns {_shown(names)}, but {first.name} has "
                f"{_shown(expected)}; give shards of one schema"
            )


def require_parquet(place: str) -> None:
    """Raise KdslError where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise KdslError(f"{place}: results are Parquet, which needs pyarrow: {install_command('arrow')}") from error


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _COLUMNS_SHOWN} more" if len(names) > _COLUMNS_SHOWN else ""
    return ", ".join(names[:_COLUMNS_SHOWN]) + more


def shard_samples(
    name: str, content: Path, tasks: Sequence[Task], reading: Reading, notes: Notes
) -> Iterator[Sample | Problem]:
    """What the rows of a shard hold, in their order; of two samples with one task and id the first.

    `name` is what messages call the shard, `content` a file with its bytes. Rows of other tasks are left out and
    noted. Raises ShardError for one that cannot be read, or of which no row is a sample.
    """
    try:
        yield from _rows(name, content, tasks, reading, notes)
    except ShardError:
        raise
    except KdslError as error:
        raise ShardError(error.sentence.replace(str(content), name), error.hint) from error


def _rows(
    place: str, content: Path, tasks: Sequence[Task], reading: Reading, notes: Notes
) -> Iterator[Sample | Problem]:
    if place.endswith(".parquet") and content.exists() and not content.stat().st_size:
        raise ShardError(f"{place}: is empty, and even Parquet without a row is not; write it again")
    records = _records(place, content, tasks, reading, notes)
    head = [*islice(records, HEAD)]
    whole = [record for record in head if isinstance(record, Record)]
    if not head:
        return
    reader = RecordReader(whole, tasks, reading) if whole else None
    seen: set[SampleKey] = set()
    problems: list[Problem] = []
    samples = 0
    for record in (each for part in (head, records) for each in part):
        found = record if isinstance(record, Problem) else _sample(record, reader, place)
        if found is None:
            continue
        if isinstance(found, Problem):
            if samples:
                yield found
            else:
                problems.append(found)
            continue
        if not samples:
            yield from problems
        samples += 1
        if found.key in seen:
            yield Problem(found.id, found.task, "the shard has a sample of this task and id before; give each its own")
            continue
        seen.add(found.key)
        yield found
    if not samples and problems:
        raise ShardError(f"{place}: none of its {len(problems)} rows is a sample; the first: {problems[0].message}")


def _sample(record: Record, reader: RecordReader | None, place: str) -> Sample | Problem | None:
    assert reader is not None
    try:
        return reader.read(record)
    except KdslError as error:
        return Problem(_identity(record), "", str(error).removeprefix(f"{Path(place)}, "))


def _identity(record: Record) -> str:
    found = record.value.get("id")
    return found if isinstance(found, str) else record.where


def _records(
    place: str, content: Path, tasks: Sequence[Task], reading: Reading, notes: Notes
) -> Iterator[Record | Problem]:
    labels = [name for task in tasks for name in task.label_names] + [*reading.labels]
    path = Path(place)
    values = _lines(place, content) if place.endswith(".jsonl") else file_values(path, labels, content, notes)
    for value in values:
        if isinstance(value, Problem):
            yield value
            continue
        try:
            yield record_at(path, value, notes, reading.labels, reading.folders)
        except KdslError as error:
            yield Problem(value.place, "", str(error).removeprefix(f"{path}, "))


def _lines(place: str, content: Path) -> Iterator[Value | Problem]:
    """The objects of JSON Lines; a line that is none is a problem of its own."""
    with opened(content) as file:
        for number, line in enumerate(file, start=1):
            text = line.strip()
            if not text:
                continue
            where = f"line {number}"
            try:
                value = line_value(Path(place), number, text.decode("utf-8-sig"))
            except UnicodeDecodeError:
                yield Problem(where, "", f"{where}: not UTF-8; save the shard as UTF-8")
            except KdslError as error:
                yield Problem(where, "", str(error).removeprefix(f"{Path(place)}, "))
            else:
                yield Value(where, str(number), value)
