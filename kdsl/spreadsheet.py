"""Cells of a CSV file that a spreadsheet shows as they are, and does not run."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(cell: str) -> str:
    """The cell behind an apostrophe where a spreadsheet would run it as a formula."""
    return f"'{cell}" if cell.startswith((*_FORMULA, "'")) else cell


def active(cell: str) -> str:
    """What `inert` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'")) else cell
