"""Cells of a CSV file that a spreadsheet shows as they are, and neither runs nor converts."""

import re

_RUN = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""A cell that begins like this is a formula; the wide ones are in Chinese and Japanese spreadsheets."""
_CONVERTED = re.compile(
    r"(?=.*\d)(?:[\d\s.,:/%()+$¥￥€£年月日时時分秒-]|e(?=[+\d-])|[ap]m|jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)+"
    r"|true|false",
    re.IGNORECASE,
)
"""What a spreadsheet takes for a number, a date or a truth value and writes back in another form: 007, 1-2, 3月5日."""


def inert(cell: str) -> str:
    """The cell behind an apostrophe where a spreadsheet would run or convert it.

    >>> inert("=1+1"), inert("007"), inert("note")
    ("'=1+1", "'007", 'note')
    """
    return f"'{cell}" if cell.startswith((*_RUN, "'")) or _CONVERTED.fullmatch(cell) else cell


def active(cell: str) -> str:
    """The cell that `inert` was given."""
    return cell[1:] if cell.startswith("'") and inert(cell[1:]) != cell[1:] else cell
