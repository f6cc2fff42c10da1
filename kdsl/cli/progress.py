"""Progress on stderr, so that stdout holds nothing but results."""

from collections.abc import Iterator
from contextlib import contextmanager

from kdsl.progress import Advance


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Advance]:
    """A bar on stderr, if it is a terminal. The `kdsl.progress.Progress` of all commands."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(description, total=total)
        yield lambda description: progress.update(bar, advance=1, description=description)
