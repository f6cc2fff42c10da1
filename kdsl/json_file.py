"""JSON and JSON Lines: read with the line of every mistake, written whole, appended to line by line."""

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import jsonlines

from kdsl.errors import Hint, KdslError
from kdsl.files import cannot_write, open_regular, opened, parsing, read_text, sync, write_atomically
from kdsl.locks import held

_TAIL = 65536
"""Bytes of a file that are read at once when its last line is looked for."""
_LONGEST_LINE = 1 << 28
"""Bytes of a line of JSON Lines."""
_DEEPEST = 100
"""Lists and objects within each other: a thousand end Python's stack wherever such a value is looked at."""


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomically(path, jsonl_bytes(records))


def jsonl_bytes(records: Iterable[dict[str, Any]]) -> bytes:
    """One JSON object a line; see `json_bytes`."""
    lines = io.BytesIO()
    with jsonlines.Writer(lines, dumps=json_bytes) as writer:
        writer.write_all(records)
    return lines.getvalue()


def json_bytes(value: object) -> bytes:
    """A JSON value in one line, in UTF-8; half a character, which UTF-8 does not have, is an escape."""
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value).encode("utf-8")


class Append(Protocol):
    """Appends objects, one a line: all that it is given in one write."""

    def __call__(self, *records: dict[str, Any]) -> None: ...


@contextmanager
def append_jsonl(path: Path) -> Iterator[Append]:
    """Gives a function that appends one object a line, each on disk as soon as it is written, for work to be resumed.

    A last line that was torn, by an interruption or a full disk, is taken away before anything is written; one that
    another process writes just now is not. Raises KdslError when the file cannot be written.
    """
    if os.path.isdir(path):  # unlike Path.is_dir, of any name
        raise KdslError(f"{path}: is a folder, such as of results over shards, which is only read; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # On a full disk a buffer would be written again when the file is closed.
        file = os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab+", 0)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error

    def append(*records: dict[str, Any]) -> None:
        rest = jsonl_bytes(records)
        try:
            with held(path):
                _repair_last_line(file)  # somebody else may have torn one since
                while rest:
                    rest = rest[file.write(rest) :]
        except OSError as error:
            raise cannot_write(path, error) from error

    with file:
        try:
            with held(path):
                _repair_last_line(file)
        except OSError as error:
            raise cannot_write(path, error) from error
        yield append


def append_durably(path: Path, record: dict[str, Any]) -> None:
    """Append one object as `append_jsonl` does; it survives a power cut once this returns."""
    with append_jsonl(path) as append:
        append(record)
    try:
        sync(path)
    except OSError as error:
        raise KdslError(f"{path}: cannot be written to disk ({error.strerror}); free some space") from error


def _repair_last_line(file: BinaryIO) -> None:
    if ends_with_a_line(file):
        return
    start, last = _last_line(file)
    try:
        json.loads(last.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        # Only the beginning of a record may go: the end of another kind of file is left to the reader's error.
        if b'{"'.startswith(last[:2]):
            file.truncate(start)
        return
    except (ValueError, RecursionError):
        pass  # a whole line, which its reader refuses
    file.write(b"\n")


def ends_with_a_line(file: BinaryIO) -> bool:
    """Whether nothing stands behind the last line break."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    return not size or file.read(1) == b"\n"


def _last_line(file: BinaryIO) -> tuple[int, bytes]:
    """Where the part behind the last line break begins, and that part; nothing before it is read."""
    start, last = file.seek(0, os.SEEK_END), b""
    while start:
        size = min(start, _TAIL)
        file.seek(start - size)
        block = file.read(size)
        end = block.rfind(b"\n") + 1
        if end:
            return start - size + end, block[end:] + last
        start, last = start - size, block + last
    return 0, last


def read_json(path: Path, remedy: Hint | str = "") -> Any:
    """The JSON value in `path`; KdslError when it is truncated or not JSON, or gives a key twice, with its line.

    `remedy` is told then: what to do about a bad file of this kind.
    """
    return parse_json(read_text(path), path, remedy=remedy)


def parse_json(text: str, path: Path, first: int | None = None, remedy: Hint | str = "") -> Any:
    """The JSON value in `text`, which begins in line `first` of `path`, or is all of it; errors of `read_json`."""
    place = f"{path}, line {first}" if first else str(path)
    with parsing(place, "not valid JSON", remedy):
        try:
            value = _JSON.decode(text)
        except json.JSONDecodeError as error:
            where = f"line {(first or 1) + error.lineno - 1}"
            if first is None or text.startswith("[") or "\n" in text:
                where += f", column {error.colno}"
            raise KdslError(f"{path}, {where}: not valid JSON ({error.msg})", remedy) from error
        except _KeyTwice as error:
            key, line = _key_twice(text)
            raise KdslError(
                f"{path}, line {(first or 1) + line - 1}: the key {key!r} is given twice; keep one of the two", remedy
            ) from error
        if text.count("[") + text.count("{") > _DEEPEST and _deep(value):
            raise RecursionError
    return value


def read_jsonl(path: Path, remedy: Hint | str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-empty line, streaming.

    KdslError names a bad line, and tells `remedy`: what to do about one in this kind of file.
    """
    with opened(path) as file:
        yield from jsonl_records(path, file, remedy)


def jsonl_records(path: Path, file: BinaryIO, remedy: Hint | str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """The same of an open file, which may be unpacked on the way; `path` is for errors."""
    lines = _Lines(path, file)
    reader = jsonlines.Reader(
        lines, loads=lambda text: parse_json(str(text).rstrip("\r\n"), path, lines.number, remedy)
    )
    try:
        for record in reader.iter(type=dict):
            yield lines.number, record
    except jsonlines.InvalidLineError as error:
        place = f"{path}, line {lines.number}"
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise KdslError(
                f"{place}: byte {error.__cause__.start} is not UTF-8", remedy or "save the file as UTF-8"
            ) from error
        shown = str(error.line).strip()[:60]
        raise KdslError(f'{place}: {shown!r} is not a JSON object like {{"id": …}}', remedy) from error


class _Lines:
    """The lines of a file that are not empty; `number` is that of the last one that was read, from 1."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.number = 0
        self._path, self._file = path, file

    def __iter__(self) -> Iterator[bytes]:
        for line in iter(lambda: self._file.readline(_LONGEST_LINE), b""):
            self.number += 1
            if len(line) == _LONGEST_LINE:
                raise KdslError(f"{self._path}, line {self.number}: has more than {_LONGEST_LINE >> 20} MiB; split it")
            if line.strip(b"\xef\xbb\xbf \t\r\n" if self.number == 1 else None):
                yield line


class _KeyTwice(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _KeyTwice
    return value


_JSON = json.JSONDecoder(object_pairs_hook=_object)


_KEY_OR_BRACE = re.compile(r'("(?:[^"\\]|\\.)*+")\s*+(:)?|[{}]')


def _key_twice(text: str) -> tuple[str, int]:
    """The first key that its object in `text`, which is JSON up to there, has before, and its line."""
    keys: list[set[str]] = []
    for match in _KEY_OR_BRACE.finditer(text):
        if match[0] == "{":
            keys.append(set())
        elif match[0] == "}":
            keys.pop()
        elif match[2]:
            key = json.loads(match[1])
            if key in keys[-1]:
                return key, text.count("\n", 0, match.start()) + 1
            keys[-1].add(key)
    raise ValueError("no key is given twice")


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
