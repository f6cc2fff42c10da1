"""A step over shards: what is done to the samples of each, and what does it, held once by every process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kdsl.project.project import Project
from kdsl.sample import Sample

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Problem:
    """A sample that nothing came of: a row of the table of errors beside the results."""

    id: str
    """Of the sample, or the row where that is not known."""
    task: str
    message: str
    """One sentence."""


@dataclass
class Worked:
    """What came of some samples."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """As the step writes them to JSON Lines where it works on one file; a row each of the result."""
    problems: list[Problem] = field(default_factory=list)


class Worker(Protocol):
    """What does the work in one process, with all that is heavy in memory: models, rules, a recogniser."""

    def begin(self) -> None:
        """A shard begins, of whose result nothing is there."""
        ...

    def work(self, samples: Sequence[Sample]) -> Worked:
        """What comes of some samples of one shard, in their order. The same samples give the same.

        What is wrong with one of them is a `Problem`; KdslError is for what stops the whole.
        """
        ...

    def end(self) -> None:
        """A shard ends: log what was missing for it, counted."""
        ...

    def close(self) -> None:
        """End what it started, such as processes of its own."""
        ...


class Step(Protocol):
    """Something to be done to every shard. Picklable: it goes to other processes and machines."""

    @property
    def name(self) -> str:
        """Of the command, such as `predict`."""
        ...

    @property
    def batch(self) -> int:
        """Samples that a worker is given at once."""
        ...

    @property
    def gpus(self) -> float:
        """That one worker takes for itself."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """The extras of `kdsl.distribution.EXTRAS` without which no worker can do it."""
        ...

    @property
    def reads(self) -> Sequence[str]:
        """The keys below `data.` of files that workers read beside what was mined and trained."""
        ...

    def state(self, project: Project) -> str:
        """What results depend on besides the shard, hashed: a run goes on only where it is the same.

        Raises KdslError where the project is not ready for the step.
        """
        ...

    def schema(self, project: Project) -> "pyarrow.Schema":
        """Of the results, alike for all shards, whatever is in them."""
        ...

    def open(self, project: Project) -> Worker:
        """Load what is heavy; called once by every process."""
        ...
