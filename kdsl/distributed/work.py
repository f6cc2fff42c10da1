"""The work on one shard, which is the same wherever it is done: read it, work in batches, write its result."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from kdsl.config import ProjectConfig
from kdsl.data.notes import Notes
from kdsl.distributed.results import Results, ShardDone
from kdsl.distributed.shards import Shard, ShardError, shard_samples
from kdsl.distributed.step import Problem, Step, Worker
from kdsl.distributed.storage import Storage
from kdsl.distributed.warned import collected
from kdsl.errors import KdslError
from kdsl.processes import collecting_rarely
from kdsl.project.project import Project
from kdsl.sample import Sample


@dataclass(frozen=True)
class Job:
    """What is done to shards, and where they are. Picklable."""

    step: Step
    config: ProjectConfig
    input: Storage
    output: Storage
    state: str
    """See `Step.state`."""
    tasks: tuple[str, ...]
    """Of the samples; those of others are left out."""


class ShardWorker:
    """Works on any number of shards, with what is heavy loaded once. One a process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._project = Project(job.config)
        self._tasks = [task for task in self._project.tasks if task.name in job.tasks]
        self._results = Results(job.output)
        self._schema = job.step.schema(self._project)
        self._worker: Worker = job.step.open(self._project)
        self._stack = ExitStack()
        self._stack.enter_context(collecting_rarely())

    def work(self, shard: Shard, content: bytes | None = None) -> ShardDone:
        """Read a shard, of which `content` are the bytes where they are here already, and write its result.

        One whose result is there is left alone: it was done, and only the news of it was lost. What is wrong with the
        shard itself is told in what is returned. Raises KdslError for what would stop the others too.
        """
        if (known := self._results.of(shard, self._job.state)) is not None:
            return known
        begun = time.monotonic()
        try:
            with TemporaryDirectory(prefix="kdsl-") as scratch, collected() as warnings:
                rows, problems = self._worked(shard, content, Path(scratch))
        except ShardError as error:
            return ShardDone(shard.name, error=str(error), seconds=time.monotonic() - begun)
        return ShardDone(shard.name, rows, problems, time.monotonic() - begun, warnings=tuple(warnings))

    def _worked(self, shard: Shard, content: bytes | None, scratch: Path) -> tuple[int, int]:
        """How many rows the result has, and how many problems."""
        path = self._read(shard, content, scratch)
        notes = Notes()
        self._worker.begin()
        with self._results.writing(shard, self._job.state, self._schema, scratch) as result:
            found = shard_samples(shard.name, path, self._tasks, self._project.reading(), notes)
            for batch in _batches(_sorted_out(found, result.problems), self._job.step.batch):
                worked = self._worker.work(batch)
                result.add(worked.records)
                result.problems += worked.problems
            self._require_unchanged(shard)
        self._worker.end()
        notes.tell(shard.name)
        return result.rows, len(result.problems)

    def _read(self, shard: Shard, content: bytes | None, scratch: Path) -> Path:
        """A file with the bytes of a shard."""
        if content is None:
            return self._job.input.local_copy(shard.name, scratch)
        path = scratch / "shard"
        path.write_bytes(content)
        return path

    def _require_unchanged(self, shard: Shard) -> None:
        """Raise ShardError for a shard that was written to since the run began: nobody knows what was read of it."""
        if self._job.input.facts(shard.name).stamp != shard.stamp:
            raise ShardError(f"{shard.name}: was changed during the run; run again when it is whole")

    def close(self) -> None:
        """End what the worker started."""
        self._stack.close()
        self._worker.close()


def _sorted_out(found: Iterable[Sample | Problem], problems: list[Problem]) -> Iterator[Sample]:
    for each in found:
        if isinstance(each, Problem):
            problems.append(each)
        else:
            yield each


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    while batch := list(islice(samples, size)):
        yield batch


def require_apart(input: Storage, output: Storage) -> None:
    """Raise KdslError where results would lie among the shards, or shards among the results."""
    first, second = (f"{each.whole_address.rstrip('/')}/" for each in (input, output))
    if first.startswith(second) or second.startswith(first):
        raise KdslError(
            f"{output.address}: results cannot lie in the folder of the shards, or around it; name another"
        )
