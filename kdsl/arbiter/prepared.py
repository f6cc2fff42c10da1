"""Groups of samples, the next one being prepared while one is decided."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from kdsl.sample import Sample

Prepare = Callable[[list[Sample], Event | None], None]
"""Does in another thread what can be done for a group before its turn comes, until it is done or the event is set.
Without an event nothing else is done meanwhile."""


def prepared(groups: Iterator[list[Sample]], prepare: Prepare) -> Generator[list[Sample], None, None]:
    """The groups, each after `prepare` is done with it. What goes wrong with one is raised when its turn comes.

    Closing the iterator ends what is being prepared.
    """
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            group = next(groups, None)
            if group is not None:
                prepare(group, None)
            while group is not None:
                reading = pool.submit(_next, groups, prepare, stop)
                yield group
                group = reading.result()
        finally:
            stop.set()


def _next(groups: Iterator[list[Sample]], prepare: Prepare, stop: Event) -> list[Sample] | None:
    group = next(groups, None)
    if group is not None:
        prepare(group, stop)
    return group
