"""Where tables of results are printed."""

import os

from rich.console import Console

WIDE = 200
"""Columns that a table may have in a file or a pipe, where no line has to fit a window."""


def results_console() -> Console:
    """Stdout. In a file or a pipe rows stay on one line as far as `WIDE` allows, or COLUMNS where that is set."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console
