"""What the data files of a project say, and when they were last changed."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kdsl.data.feedback_samples import FeedbackSamples
from kdsl.fields.sidecar import Sidecars
from kdsl.files import Stamp, stamp_of
from kdsl.models.by_order import Orders
from kdsl.sample import Sample, Task

Stamps = tuple[Stamp | None, ...]


@dataclass(frozen=True)
class Dataset:
    """Tasks, their labelled samples by the task's name, and what is known beside them."""

    tasks: Sequence[Task]
    samples: Mapping[str, Sequence[Sample]]
    sidecars: Sidecars
    orders: Orders = ()
    """The samples of the data files in their order, where recorded predictions are told apart by it."""
    unlabelled: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    """The samples that nobody has labelled, by the task's name."""
    feedback: FeedbackSamples = field(default_factory=FeedbackSamples)
    """What people said to the service about samples of these."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Labelled samples of each task, of which `samples` may be some: see `mining.max_samples`."""


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from."""

    read: Callable[[], Dataset]
    """Raises KdslError for files that cannot be read or make no sense. Picklable: another process reads them again."""
    files: Sequence[Path] = ()
    """When one of these changes, it has to be read again."""
    labels: Path | None = None
    """The log of labels that people give on the page; it is read again once nobody gives one for a while."""
    read_all: Callable[[str], tuple[Task, Iterable[Sample], Sidecars]] | None = None
    """All labelled samples of the task with that name; None where `read` gives all. In all else as `read`."""


def of_images(sidecars: Sidecars) -> Sidecars:
    """What the files say; the encoder and the folder of images are those that the page was started with."""
    return replace(sidecars, vectors=None, pictures=None)


def stamps_of(paths: Iterable[Path]) -> Stamps:
    return tuple(map(stamp_of, paths))


def recently_written(path: Path, seconds: float) -> bool:
    """Whether a file was written within so many seconds; one that is gone was not."""
    stamp = stamp_of(path)
    return stamp is not None and time.time() - stamp[0] / 1e9 < seconds
