"""What objects show of themselves in a notebook: plain HTML, escaped, without scripts and outside resources.

Colours are half transparent and text keeps the notebook's own, so that light and dark themes both stay readable.
"""

from collections.abc import Iterable, Sequence
from html import escape

_KINDS = {">": "number", "~": "words"}
"""What a column's name begins with, and what it then holds; other columns hold names."""

_STYLE = """\
<style>
div.kdsl {max-width: 62em; line-height: 1.5; overflow-wrap: break-word}
div.kdsl p {margin: .3em 0}
div.kdsl div.wide {overflow-x: auto}
div.kdsl table {border-collapse: collapse; margin: .7em 0; border: 0; font-size: 1em}
div.kdsl p.headline {font-size: 1.2em}
div.kdsl th, div.kdsl td {text-align: left; vertical-align: baseline; padding: .2em .7em .2em 0; background: none; \
border: 0; border-bottom: 1px solid rgba(128, 128, 128, .3); max-width: none; min-width: 4em}
div.kdsl th {font-weight: 600; opacity: .75; white-space: nowrap}
div.kdsl td.words {min-width: 11em}
div.kdsl th.number, div.kdsl td.number {text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; \
min-width: 0}
div.kdsl code {background: none; padding: 0; color: inherit; white-space: nowrap}
div.kdsl .dim {opacity: .65}
div.kdsl mark {background: rgba(255, 187, 0, .45); color: inherit; padding: 0 .1em; border-radius: .2em}
div.kdsl mark.against {background: rgba(110, 130, 255, .22); border-bottom: 2px dotted rgba(110, 130, 255, .9)}
div.kdsl i.bar {display: inline-block; height: .65em; background: rgba(70, 140, 230, .65); border-radius: .15em}
</style>
"""


def shown(*parts: str) -> str:
    """The HTML of one object, of parts that are HTML themselves."""
    return f'<div class="kdsl">\n{_STYLE}{"".join(parts)}</div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> str:
    """A table of cells that are HTML; `columns` and `title` are text.

    The cells of a column whose name begins with > are numbers, of one that begins with ~ longer texts.
    """
    kinds = [f' class="{_KINDS[column[0]]}"' if column[:1] in _KINDS else "" for column in columns]
    names = [escape(column[1:] if column[:1] in _KINDS else column) for column in columns]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, names, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>\n"
        for row in rows
    )
    heading = f"<thead><tr>{head}</tr></thead>\n" if any(names) else ""
    above = f'<p class="dim">{escape(title)}</p>\n' if title else ""
    return f'{above}<div class="wide"><table>{heading}<tbody>\n{body}</tbody></table></div>\n'
