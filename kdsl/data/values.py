"""The JSON values of a data file: one a line, one over many lines, several in a line, or lists of them."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import jsonlines

from kdsl.errors import KdslError
from kdsl.json_file import parse_json

_BETWEEN = " \t\r\n,\ufeff\x1e"
"""What may stand between values and means nothing: commas, byte order marks where files were joined, and the separator
of RFC 7464."""
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[\]{}]')
"""Texts, with an empty group where one has no end, and brackets."""
_FORMS = "samples are JSON, one JSON object a line, or a table whose first row names its columns"
_LONGEST = 1 << 26
"""Characters of a value that is spread over lines."""


class Value(NamedTuple):
    """`place` is `line N`, `line N, object M` or `element N`, `number` the same as short as an id."""

    place: str
    number: str
    value: Any


def json_values(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Value]:
    """The values in their order, of lists their elements; of JSON Lines only one line is in memory.

    `lines` are those of `text_lines`. Raises KdslError with the line for what is not JSON.
    """
    last = 0, ""  # the line that was read last

    def texts() -> Iterator[str]:
        nonlocal last
        for last in lines:
            if text := last[1].strip(_BETWEEN):
                yield text

    found = texts()
    first = next(found, "")
    if first.startswith("["):
        yield from _elements(path, [last, *lines])
        return
    reader = jsonlines.Reader(
        chain([first] if first else [], found), loads=lambda text: line_value(path, last[0], str(text))
    )
    while True:
        try:
            value = reader.read(allow_none=True)
        except EOFError:
            return
        except KdslError as error:
            yield from _spread(path, chain([last], lines), error)
            return
        yield Value(f"line {last[0]}", str(last[0]), value)


def _elements(path: Path, lines: Sequence[tuple[int, str]]) -> Iterator[Value]:
    """Of all lists, counted through."""
    first = lines[0][0]
    text = "\n".join(line.strip("\ufeff\r\n") for _, line in lines)
    try:
        found = [line_value(path, first, text)]
    except KdslError:
        pieces = [*_pieces(lines)]
        if not pieces[-1].whole:
            raise
        closed = pieces[-1].text[:-1].rstrip()
        if closed.endswith(","):
            pieces[-1] = pieces[-1]._replace(text=closed[:-1] + "]")
        elif len(pieces) == 1:
            raise
        found = [line_value(path, piece.line, piece.text) for piece in pieces]
    elements = chain.from_iterable(value if isinstance(value, list) else [value] for value in found)
    for number, value in enumerate(elements, start=1):
        yield Value(f"element {number}", str(number), value)


def _spread(path: Path, lines: Iterable[tuple[int, str]], error: KdslError) -> Iterator[Value]:
    """Values of which a line does not hold exactly one; `error` is what the first line gave by itself."""
    for piece in _pieces(lines):
        if not piece.whole:
            raise KdslError(f"{path}, line {piece.line}: not valid JSON (what begins here has no end)") from error
        value = line_value(path, piece.line, piece.text)
        if piece.nth == 1:
            yield Value(f"line {piece.line}", str(piece.line), value)
        else:
            yield Value(f"line {piece.line}, object {piece.nth}", f"{piece.line}.{piece.nth}", value)


class _Piece(NamedTuple):
    """The text of a value, the `nth` that begins in `line`; not `whole` where the file ends before it does."""

    line: int
    nth: int
    text: str
    whole: bool


def _pieces(lines: Iterable[tuple[int, str]]) -> Iterator[_Piece]:
    """The values that follow each other, told apart by their brackets alone."""
    parts: list[str] = []
    depth = size = first = nth = begun = 0
    for number, line in lines:
        line, position, begun = line.rstrip("\r\n"), 0, 0
        while position < len(line):
            if not parts:
                position = _behind(line, position)
                if position == len(line):
                    break
                begun += 1
                first, nth, size = number, begun, 0
            end, depth = _end(line, position, depth)
            parts.append(line[position:end])
            size += end - position
            position = end
            if depth <= 0 or size > _LONGEST:
                yield _Piece(first, nth, "\n".join(parts), depth <= 0)
                parts, depth = [], 0
    if parts:
        yield _Piece(first, nth, "\n".join(parts), False)


def _behind(line: str, position: int) -> int:
    """Where the next value begins."""
    while position < len(line) and line[position] in _BETWEEN:
        position += 1
    return position


def _end(line: str, position: int, depth: int) -> tuple[int, int]:
    """Where a value ends that is open `depth` deep, or the line, and how deep it is open there."""
    for token in _TOKENS.finditer(line, position):
        if token[1] == "":  # a text without an end: no more can be told, the parser may say what is wrong
            return len(line), 0
        if token[1] is None:
            depth += 1 if token[0] in "[{" else -1
        if depth <= 0:
            return token.end(), depth
    return len(line), depth


def line_value(path: Path, number: int, text: str) -> Any:
    """The value in `text`, which begins in the given line; None for NaN, as which pandas writes an empty cell.

    Raises KdslError for what is not JSON.
    """
    value = parse_json(text, path, number, "" if text.startswith(("{", "[")) else _FORMS)
    return _without_nan(value) if "NaN" in text else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
