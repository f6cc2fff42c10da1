"""How far long work is: it says so to whom it is given, and to nobody where it is given nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

Item = TypeVar("Item")

Advance = Callable[[str], None]
"""Says that one more step is done, and what comes next."""


class Progress(Protocol):
    """Shows one piece of work while it lasts, such as `kdsl.cli.progress.progress_bar` on the command line."""

    def __call__(self, description: str, total: int | None) -> AbstractContextManager[Advance]:
        """Begin work of `total` steps, None where nobody knows how many."""


@contextmanager
def reported(progress: Progress | None, description: str, total: int | None) -> Iterator[Advance]:
    """`progress(description, total)`; without one, nothing is said."""
    if progress is None:
        yield lambda description: None
        return
    with progress(description, total) as advance:
        yield advance


def track(items: Iterable[Item], description: str, total: int | None, progress: Progress | None) -> Iterator[Item]:
    """Yield `items`, each a step of the work."""
    with reported(progress, description, total) as advance:
        for item in items:
            yield item
            advance(description)
