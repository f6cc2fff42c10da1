"""A step that is done at once, to be done to shards: what is worked on is of no account there."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kdsl.distributed.step import Problem, Worked
from kdsl.errors import KdslError
from kdsl.processes import WorkerContext
from kdsl.project.project import Project
from kdsl.sample import Sample

if TYPE_CHECKING:
    import pyarrow

_log = logging.getLogger("kdsl.distributed.steps.length")


@dataclass(frozen=True)
class Length:
    """How long a sample's first text is; one that is `bad` is a problem, `stop` stops all, `die` ends the process."""

    name: str = "length"
    batch: int = 3
    gpus: float = 0.0
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    of: str = "state"
    opens: bool = True
    inner: bool = False
    """Whether every worker has a process of its own, which ends when the worker is closed."""

    def state(self, project: Project) -> str:
        return self.of

    def schema(self, project: Project) -> "pyarrow.Schema":
        import pyarrow

        return pyarrow.schema({"id": pyarrow.string(), "length": pyarrow.int64()})

    def open(self, project: Project) -> "Measuring":
        if not self.opens:
            raise KdslError("no ruler: get one")
        return Measuring(inner=_process() if self.inner else None)


@dataclass
class Measuring:
    batches: list[int] = field(default_factory=list)
    inner: ProcessPoolExecutor | None = None

    def begin(self) -> None:
        self.batches.clear()

    def work(self, samples: Sequence[Sample]) -> Worked:
        self.batches.append(len(samples))
        worked = Worked()
        for sample in samples:
            text = sample.turns[0].text
            if text == "die":
                os._exit(1)
            if text == "stop":
                raise KdslError("the ruler is broken: get another")
            if text == "bad":
                worked.problems.append(Problem(sample.id, sample.task, "cannot be measured"))
            else:
                worked.records.append({"id": sample.id, "length": len(text)})
        return worked

    def end(self) -> None:
        if self.batches and min(self.batches) < 3:
            _log.warning("%d samples in a batch that is not full", min(self.batches))

    def close(self) -> None:
        if self.inner is not None:
            self.inner.shutdown()


def _process() -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(1, WorkerContext())
    pool.submit(os.getpid).result()
    return pool
