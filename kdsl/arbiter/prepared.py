"""Groups of samples, the next one being prepared while one is decided."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from kdsl.sample import Sample


@dataclass(frozen=True)
class Turn:
    """How it stands with a group that is being prepared."""

    come: Event = field(default_factory=Event)
    """It is waited for: what deciding would do as quickly is left to it."""
    ended: Event = field(default_factory=Event)
    """Nobody waits for it any more."""


Prepare = Callable[[list[Sample], Turn | None], None]
"""Does for a group what can be done before it is decided: in another thread than the group before is decided in, or,
without a turn, while nothing else is done."""


def prepared(groups: Iterator[list[Sample]], prepare: Prepare) -> Generator[list[Sample], None, None]:
    """The groups, each after `prepare` is done with it. What goes wrong with one is raised when its turn comes.

    Closing the iterator ends what is being prepared.
    """
    turn = Turn()
    with ThreadPoolExecutor(1) as pool:
        try:
            group = next(groups, None)
            if group is not None:
                prepare(group, None)
            while group is not None:
                turn = Turn()
                reading = pool.submit(_next, groups, prepare, turn)
                yield group
                turn.come.set()
                group = reading.result()
        finally:
            turn.come.set()
            turn.ended.set()


def _next(groups: Iterator[list[Sample]], prepare: Prepare, turn: Turn) -> list[Sample] | None:
    group = next(groups, None)
    if group is not None:
        prepare(group, turn)
    return group
