"""Where tables of results are printed, and how they look."""

import os
import re
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.table import Table
from rich.text import Text

WIDE = 200
"""Columns that a table may have in a file or a pipe, where no line has to fit a window."""

_PIECES = re.compile(r"[^\s|]*(?:\||\s+)|[^\s|]+$")
"""Of a rule in words: words, and terms, which stand between |."""

LONG_NAME = 16
"""Cells of a column's name, such as that of a task, which may be broken so that no number has to be."""


_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
_VISIBLE |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}
"""Characters that a terminal obeys, such as ESC, and those that show them."""


def visible(text: str) -> str:
    """A text of strangers, with what a terminal would obey made visible.

    >>> visible("\\x1b[31m")
    '␛[31m'
    """
    return text.translate(_VISIBLE)


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `kdsl.cli` that the reader of a pipe has seen enough; rich would exit as for findings."""
        raise BrokenPipeError


def lines_console() -> Console:
    """Stdout for lines that are never broken, as editors and scripts take them."""
    return _Stdout(soft_wrap=True, highlight=False)


def results_console() -> Console:
    """Stdout. In a file or a pipe rows stay on one line as far as `WIDE` allows, or COLUMNS where that is set."""
    console = _Stdout(highlight=False)
    if not fits_a_window(console):
        console.width = WIDE
    return console


def print_table(table: Table) -> None:
    """Print a table that others follow: with an empty line behind it."""
    console = results_console()
    console.print(table)
    console.print()


def fits_a_window(console: Console) -> bool:
    """Whether lines are to fit the width of a window, as they need not in a file or a pipe."""
    return console.is_terminal or "COLUMNS" in os.environ


class RuleText(Text):
    """A rule in words, which in a narrow column is broken between the terms of a condition too, not only at spaces."""

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        lines = [""]
        for piece in _PIECES.findall(self.plain):
            if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > width:
                lines.append("")
            lines[-1] += piece
        return Lines(part for line in lines for part in Text(line.rstrip()).wrap(console, width, **options))


def results_table(title: str, *columns: str, dense: bool = False) -> Table:
    """A table of results; columns that begin with > are numbers.

    These and ids stay on one line, but for numbers under a long name.
    It has no more lines and space than it needs: where the window is narrow, the texts in it are to have the room.
    A `dense` one, with more numbers than others, has one space between columns, not two.
    """
    table = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0 if dense else 1, 0, 0),
        show_edge=False,
    )
    for column in columns:
        number = column.startswith(">")
        name = column.lstrip(">")
        kept = (number and cell_len(name) <= LONG_NAME) or name == "id"
        table.add_column(Text(name), justify="right" if number else "left", no_wrap=kept, overflow="fold")
    return table
