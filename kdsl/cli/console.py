"""Where tables of results are printed, and how they look."""

import os

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 200
"""Columns that a table may have in a file or a pipe, where no line has to fit a window."""


def results_console() -> Console:
    """Stdout. In a file or a pipe rows stay on one line as far as `WIDE` allows, or COLUMNS where that is set."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


def results_table(title: str, *columns: str) -> Table:
    """A table of results; columns that begin with > are numbers, and stay on one line.

    It has no more lines and space than it needs: where the window is narrow, the texts in it are to have the room.
    """
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for column in columns:
        number = column.startswith(">")
        name = column.lstrip(">")
        table.add_column(Text(name), justify="right" if number else "left", no_wrap=number, overflow="fold")
    return table
