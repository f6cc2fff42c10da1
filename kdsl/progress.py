"""Progress on stderr, so that stdout holds nothing but results."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """Yield `items` while a bar on stderr shows how many of `total` are done, if it is a terminal."""
    with progress_bar(description, total) as advance:
        for item in items:
            yield item
            advance(description)


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on stderr, if it is a terminal, and a function that says one more of `total` is done, and what is next."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(description, total=total)
        yield lambda description: progress.update(bar, advance=1, description=description)
