"""Results of work over shards: a Parquet file for each, whole or not there, beside the errors and what they are of.

In the folder of results: `NAME.parquet` for every shard, `_errors/NAME.parquet` where samples of it failed, and
`_run.json`. What begins with an underscore is left out by other tools that read such a folder.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kdsl.distributed.lease import leased
from kdsl.distributed.shards import RESULT, Shard
from kdsl.distributed.step import Problem
from kdsl.distributed.storage import Storage
from kdsl.errors import KdslError
from kdsl.locks import claimed
from kdsl.version import RESULTS_VERSION, __version__

if TYPE_CHECKING:
    import pyarrow

RUN_FILE, ERRORS = "_run.json", "_errors"
_METADATA = b"kdsl"
_AT_ONCE = 16


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
    def begun(self, run: Run, again: bool) -> Iterator[None]:
        """Nobody else works on this folder meanwhile, on this machine or another; `_run.json` says what it is for.

        Raises KdslError for a folder of something else, of another run unless `again`, and one that is being written.
        """
        with claimed(folders=[self.storage.folder]) if self.storage.folder else leased(self.storage):
            known = self.run()
            if known is None and not self.storage.is_empty():
                raise KdslError(
                    f"{self.storage.address}: holds files that were not made by work over shards; name a folder of "
                    "its own"
                )
            if known is not None and not again:
                self._require_same(known, run)
            self._write_run(run)
            yield

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
            if file.name.endswith(RESULT) and file.name not in known:
                self.storage.remove(file.name)
                self.storage.remove(f"{ERRORS}/{file.name}")
        self._write_run(Run(**{**asdict(run), "finished": datetime.now().isoformat(timespec="seconds")}))

    def _write_run(self, run: Run) -> None:
        self.storage.write(RUN_FILE, json.dumps(asdict(run), ensure_ascii=False, indent=1).encode() + b"\n")

    def done(self, shards: Sequence[Shard], state: str) -> list[ShardDone]:
        """The shards whose results are there, made of them as they are now and of the same state."""
        there = {file.name for file in self.storage.files()}
        begun = [shard for shard in shards if shard.result in there]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda shard: self.of(shard, state), begun)
            return [done for done in found if done is not None]

    def of(self, shard: Shard, state: str) -> ShardDone | None:
        """What came of a shard, if its result is there, as `done` has them."""
        from pyarrow import ArrowException
        from pyarrow.parquet import read_schema

        if not self.storage.exists(shard.result):
            return None
        with self.storage.opened(shard.result) as file:
            try:
                said = json.loads((read_schema(file).metadata or {})[_METADATA])
                if (said["shard"], said["stamp"], said["state"]) != (shard.name, shard.stamp, state):
                    return None
                return ShardDone(shard.name, said["samples"], said["problems"])
            except (ArrowException, OSError, ValueError, KeyError):  # of something else: it is made again
                return None

    def write(self, shard: Shard, state: str, table: "pyarrow.Table", problems: Sequence[Problem]) -> None:
        """The errors first, then the result: where that is there, all is."""
        errors = f"{ERRORS}/{shard.result}"
        if problems:
            self.storage.write(errors, parquet_bytes(_table_of(shard, problems)))
        elif self.storage.exists(errors):
            self.storage.remove(errors)
        said = {
            "shard": shard.name, "stamp": shard.stamp, "state": state, "samples": len(table),
            "problems": len(problems), "kdsl": __version__,
        }  # fmt: skip
        metadata = {**(table.schema.metadata or {}), _METADATA: json.dumps(said).encode()}
        self.storage.write(shard.result, parquet_bytes(table.replace_schema_metadata(metadata)))

    def errors(self) -> "pyarrow.Table | None":
        """The table of errors of all shards: columns shard, id, task and message; None without any."""
        import pyarrow
        from pyarrow.parquet import read_table

        storage = Storage(self.storage.place(ERRORS))
        if not storage.exists():
            return None
        tables = [read_table(io.BytesIO(storage.read(file.name))) for file in storage.files()]
        return pyarrow.concat_tables(tables) if tables else None


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
        "id": [problem.id for problem in problems],
        "task": [problem.task for problem in problems],
        "message": [problem.message for problem in problems],
    }
    return pyarrow.table(columns, schema=pyarrow.schema([(name, pyarrow.string()) for name in columns]))
