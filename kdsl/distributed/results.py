"""Results of work over shards: a Parquet file for each, whole or not there, beside the errors and what they are of.

In the folder of results: `NAME.parquet` for every shard, `_errors/NAME.parquet` where samples of it failed, and
`_run.json`. What begins with an underscore is left out by other tools that read such a folder.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.distributed.columns import batch_of
from kdsl.distributed.lease import FILE, leased
from kdsl.distributed.shards import RESULT, Shard
from kdsl.distributed.step import Problem
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError
from kdsl.files import cannot_write
from kdsl.locks import claimed
from kdsl.version import RESULTS_VERSION, __version__

if TYPE_CHECKING:
    import pyarrow

RUN_FILE, ERRORS = "_run.json", "_errors"
_METADATA = b"kdsl"
_AT_ONCE = 16
_ROW_GROUP = 10_000
"""Rows that are in memory before they are written."""
_CONVERTED = 2048
"""Records that become columns at once: for 256, as many as are predicted at once, that takes half as long again."""


@dataclass(frozen=True)
class ShardDone:
    """What came of a shard."""

    name: str
    samples: int = 0
    """Rows of its result."""
    problems: int = 0
    """Samples that nothing came of."""
    seconds: float = 0.0
    error: str | None = None
    """Why nothing at all came of it; it is tried again next time."""
    warnings: tuple[str, ...] = ()
    """What was left out or put right, in sentences."""


@dataclass(frozen=True)
class Run:
    """What the results in a folder are of."""

    step: str
    state: str
    input: str
    version: str = __version__
    results: str = RESULTS_VERSION
    finished: str | None = None
    """When all shards were done; None before."""


@dataclass(frozen=True)
class Results:
    """The folder of results. Picklable: every worker writes its own."""

    storage: Storage

    @contextmanager
    def begun(self, run: Run, again: bool) -> Iterator[Callable[[], None]]:
        """Nobody else works on this folder meanwhile, on this machine or another; `_run.json` says what it is for.

        Gives what raises KdslError once somebody else has taken the folder over, as while this machine slept.
        Raises KdslError for a folder of something else, of another run unless `again`, and one that is being written.
        """
        with self._claimed() as require_held:
            known = self.run()
            if known is None and not self.storage.is_empty(but=FILE):
                raise KdslError(
                    f"{self.storage.address}: holds files that were not made by work over shards; name a folder of "
                    "its own"
                )
            if known is not None and not again:
                self._require_same(known, run)
            self.storage.remove_unfinished()
            self._write_run(run)
            try:
                yield require_held
            finally:
                self.storage.remove_unfinished()

    @contextmanager
    def _claimed(self) -> Iterator[Callable[[], None]]:
        if self.storage.folder is None:
            with leased(self.storage) as require_held:
                yield require_held
            return
        with claimed(folders=[self.storage.folder]):
            yield lambda: None

    def run(self) -> Run | None:
        """What the results are of; None where there are none yet. KdslError for a damaged `_run.json`."""
        if not self.storage.exists(RUN_FILE):
            return None
        try:
            return Run(**json.loads(self.storage.read(RUN_FILE)))
        except (ValueError, TypeError) as error:
            raise KdslError(
                f"{self.storage.place(RUN_FILE)}: is damaged; name another folder, or delete this one"
            ) from error

    def _require_same(self, known: Run, run: Run) -> None:
        what = {
            "step": (known.step, run.step, f"`kdsl {known.step}`, not of `kdsl {run.step}`"),
            "input": (known.input, run.input, f"the shards of {known.input}, not of {run.input}"),
            "results": (known.results, run.results, f"KDSL {known.version}, whose results differ from those of today"),
            "state": (known.state, run.state, "a project that was another then (trained again, or other rules)"),
        }
        for before, now, told in what.values():
            if before != now:
                raise KdslError(
                    f"{self.storage.address}: holds results of {told}; make all anew with --again, or name another "
                    "folder"
                )

    def finish(self, run: Run, shards: Sequence[Shard]) -> None:
        """All shards are done: results of shards that are no longer there go."""
        known = {shard.result for shard in shards}
        for file in self.storage.files():
            if file.name.endswith(RESULT) and file.name not in known and self._said(file.name) is not None:
                self.storage.remove(file.name)
                self.storage.remove(f"{ERRORS}/{file.name}")
        self._write_run(Run(**{**asdict(run), "finished": datetime.now().isoformat(timespec="seconds")}))

    def _write_run(self, run: Run) -> None:
        self.storage.write(RUN_FILE, json.dumps(asdict(run), ensure_ascii=False, indent=1).encode() + b"\n")

    def known(self, shards: Sequence[Shard], state: str) -> tuple[list[ShardDone], int]:
        """The shards whose results are there, made of them as they are now and of the same state; and how many have a
        result that was not."""
        there = {file.name for file in self.storage.files()}
        begun = [shard for shard in shards if shard.result in there]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            done = [each for each in pool.map(lambda shard: self.of(shard, state), begun) if each is not None]
        return done, len(begun) - len(done)

    def of(self, shard: Shard, state: str) -> ShardDone | None:
        """What came of a shard, if its result is there, as `known` has them."""
        said = self._said(shard.result) if self.storage.exists(shard.result) else None
        if said is None or (said["shard"], said["stamp"], said["state"]) != (shard.name, shard.stamp, state):
            return None
        return ShardDone(shard.name, said["samples"], said["problems"])

    def _said(self, name: str) -> dict[str, Any] | None:
        """What a result says of itself; None for another file, or a damaged one."""
        from pyarrow import ArrowException
        from pyarrow.parquet import read_metadata

        with self.storage.opened(name) as file:
            try:
                said: dict[str, Any] = json.loads((read_metadata(file).metadata or {})[_METADATA])
            except (ArrowException, OSError, ValueError, KeyError):
                return None
            return said if {"shard", "stamp", "state", "samples", "problems"} <= said.keys() else None

    @contextmanager
    def writing(self, shard: Shard, state: str, schema: "pyarrow.Schema", scratch: Path) -> Iterator["ResultWriter"]:
        """Takes the result of a shard bit by bit; it is there, and its errors are, when this ends without an error.

        Errors come first: where the result is there, all is. `scratch` is a folder for what is not done yet.
        """
        from pyarrow.parquet import ParquetWriter

        folder = self.storage.folder
        with self.storage.writing(shard.result, scratch) as path:
            told = path if folder is None else folder / shard.result
            with ExitStack() as stack:
                try:
                    writer = stack.enter_context(ParquetWriter(str(path), schema, compression="zstd"))
                except OSError as error:
                    raise cannot_write(told, error) from error
                result = ResultWriter(writer, schema, told)
                yield result
                said = {
                    "shard": shard.name, "stamp": shard.stamp, "state": state, "samples": result.rows,
                    "problems": len(result.problems), "kdsl": __version__,
                }  # fmt: skip
                result.close(said)
            self._write_errors(shard, result.problems)

    def _write_errors(self, shard: Shard, problems: Sequence[Problem]) -> None:
        name = f"{ERRORS}/{shard.result}"
        if problems:
            self.storage.write(name, parquet_bytes(_table_of(shard, problems)))
        elif self.storage.exists(name):
            self.storage.remove(name)

    def errors(self) -> "pyarrow.Table | None":
        """The table of errors of all shards: columns shard, id, task and message; None without any."""
        import pyarrow
        from pyarrow.parquet import read_table

        storage = Storage(self.storage.place(ERRORS))
        if not storage.exists():
            return None
        tables = [read_table(io.BytesIO(storage.read(file.name))) for file in storage.files()]
        return pyarrow.concat_tables(tables) if tables else None


class ResultWriter:
    """Writes rows as they come, some thousands at once, and holds the problems."""

    def __init__(self, writer: Any, schema: "pyarrow.Schema", path: Path) -> None:
        self._writer, self._schema, self._path = writer, schema, path
        self._records: list[dict[str, Any]] = []
        self._waiting: list[pyarrow.RecordBatch] = []
        self._rows_waiting = 0
        self.rows = 0
        self.problems: list[Problem] = []

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        """KdslError where the disk is full."""
        self._records += records
        self.rows += len(records)
        if len(self._records) >= _CONVERTED:
            self._convert()
        if self._rows_waiting >= _ROW_GROUP:
            self._write()

    def _convert(self) -> None:
        self._waiting.append(batch_of(self._records, self._schema))
        self._rows_waiting += len(self._records)
        self._records = []

    def _write(self) -> None:
        import pyarrow

        if self._records:
            self._convert()
        if not self._waiting:
            return
        table = pyarrow.Table.from_batches(self._waiting)
        try:
            self._writer.write_table(table, _ROW_GROUP)
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._waiting, self._rows_waiting = [], 0

    def close(self, said: Mapping[str, Any]) -> None:
        """The end of the file, with what it says of itself."""
        self._write()
        try:
            self._writer.add_key_value_metadata({_METADATA: json.dumps(said).encode()})
            self._writer.close()
        except OSError as error:
            raise cannot_write(self._path, error) from error


def parquet_bytes(table: "pyarrow.Table") -> bytes:
    """A table as a Parquet file."""
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(table, file, compression="zstd")
    return file.getvalue()


def _table_of(shard: Shard, problems: Sequence[Problem]) -> "pyarrow.Table":
    import pyarrow

    columns: Mapping[str, list[Any]] = {
        "shard": [shard.name] * len(problems),
        "id": [_whole(problem.id) for problem in problems],
        "task": [_whole(problem.task) for problem in problems],
        "message": [_whole(problem.message) for problem in problems],
    }
    return pyarrow.table(columns, schema=pyarrow.schema([(name, pyarrow.string()) for name in columns]))


def _whole(text: str) -> str:
    """With an escape for half a character, which UTF-8 does not have."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
