"""Reading and writing files so that bad input is named by line and nothing is ever half-written."""

import errno
import hashlib
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

from kdsl.errors import Hint, KdslError, first_line
from kdsl.locks import held

_TAIL = 65536
"""Bytes of a file that are read at once when its last line is looked for."""
_LONGEST_NAME = 255
"""Bytes that file systems allow for one part of a path."""
_LONGEST_PATH = 2048
"""Bytes of a name with its folders: half of what systems allow, for the folder that it is in is a part of the path."""
_LARGEST = 1 << 31
"""Bytes of a file that are read at once."""
_LONGEST_LINE = 1 << 28
"""Bytes of a line of JSON Lines."""
_DEEPEST = 100
"""Lists and objects within each other: a thousand end Python's stack wherever such a value is looked at."""


def inside(folder: Path, name: str) -> Path:
    """`folder / name`, for a `name` from a file that a stranger may have written: a sample, a log, a sidecar.

    `folder` itself may be a link; below it no link leads out. Raises KdslError, without the place where the name
    stands, for a name that leads outside `folder` or can be no file's name. Nothing need be there.

    >>> inside(Path("/data/images"), "shop/a.jpg").as_posix()
    '/data/images/shop/a.jpg'
    >>> inside(Path("/data/images"), "../task.yaml")
    Traceback (most recent call last):
    kdsl.errors.KdslError: '../task.yaml' leads outside /data/images; give a name below that folder
    """
    check_name(name, str(folder))
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise KdslError(f"{shown_name(name)} leads outside {folder}; give a name below that folder")
    return path


def check_name(name: str, folder: str) -> None:
    """Raise what `inside` raises for a `name` that leads out of any folder; `folder` is what the sentence calls it."""
    encoded = name.encode("utf-8", "surrogatepass")
    halves = any("\ud800" <= character <= "\udfff" for character in name)
    too_long = len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME
    if not name or halves or "\x00" in name or too_long:
        raise KdslError(f"{shown_name(name)} cannot be the name of a file; give a name below {folder}")
    # A backslash and a drive lead out on Windows only, but what is shared is opened there too.
    if Path(name).is_absolute() or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        raise KdslError(f"{shown_name(name)} leads outside {folder}; give a name below that folder")


def shown_name(name: str) -> str:
    """A name in quotes, short enough for a sentence."""
    return repr(name) if len(name) <= 60 else repr(name[:57]) + "…"


def is_there(path: Path) -> bool:
    """Whether there is a file or folder at `path`; KdslError where that cannot be known, as one may not look there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise KdslError(f"{path}: cannot be read ({_reason(error)}); you need rights on its folder") from error
    return True


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to a temporary file beside `path`, flush it to disk and rename it over `path`.

    A file that is there keeps its mode, a new one gets the umask's. Raises KdslError when the folder cannot be
    written; the old file is then untouched.
    """
    temporary = None
    try:
        data = content.encode("utf-8") if isinstance(content, str) else content
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not made by `tempfile`, whose files nobody else may read: the system takes the umask from the wanted mode.
        name = path.parent / f".{path.name[: _LONGEST_NAME // 8]}.{secrets.token_hex(6)}"
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        temporary = name
        with os.fdopen(handle, "wb") as file:
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def sync(path: Path) -> None:
    """Make what was written to a file, or renamed within a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Another one after every change of the file, None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomically(path, b"".join(map(_line, records)))


def _line(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half a character, which UTF-8 does not have
        return json.dumps(record).encode("utf-8") + b"\n"


@contextmanager
def append_jsonl(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives a function that appends one object a line, each on disk as soon as it is written, for work to be resumed.

    A last line that was torn by an interruption is taken away first; one that another process writes just now is not.
    Raises KdslError when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # On a full disk a buffer would be written again when the file is closed.
        file = os.fdopen(_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab+", 0)
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error

    def append(record: dict[str, Any]) -> None:
        rest = _line(record)
        try:
            with held(path):
                while rest:
                    rest = rest[file.write(rest) :]
        except OSError as error:
            raise _cannot_write(path, error) from error

    with file:
        try:
            with held(path):
                _repair_last_line(file)
        except OSError as error:
            raise _cannot_write(path, error) from error
        yield append


def _repair_last_line(file: BinaryIO) -> None:
    start, last = _last_line(file)
    try:
        json.loads(last.decode("utf-8") or "{}")
    except (UnicodeDecodeError, json.JSONDecodeError):
        # Only the beginning of a record may go: the end of another kind of file is left to the reader's error.
        if b'{"'.startswith(last[:2]):
            file.truncate(start)
        return
    except (ValueError, RecursionError):
        pass  # a whole line, which its reader refuses
    if last:
        file.write(b"\n")


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


def _cannot_write(path: Path, error: OSError | ValueError) -> KdslError:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "free some space and try again" if full else "choose a folder that you may write to"
    return KdslError(f"{path}: cannot be written ({_reason(error)}); {what}")


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A file to be read; the one way in which KDSL opens what it did not make itself.

    Raises KdslError when it is missing, cannot be read, or is no regular file: of a pipe or a device nobody knows when
    it ends.
    """
    try:
        file = os.fdopen(_regular(path, os.O_RDONLY), "rb")
    except FileNotFoundError as error:
        what = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise KdslError(f"{path}: {what}") from error
    except (OSError, ValueError) as error:  # ValueError: a name with NUL or with half a character
        raise KdslError(f"{path}: cannot be read ({_reason(error)})") from error
    with file:
        try:
            yield file
        except OSError as error:
            raise KdslError(f"{path}: cannot be read ({_reason(error)})") from error


def _regular(path: Path, flags: int) -> int:
    """A handle of the file; OSError and ValueError of the system pass through, KdslError for what is no
    regular file."""
    # Opening a pipe waits for somebody at its other end, unless told not to.
    at_once = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(path, flags | at_once, 0o666)
    found = os.fstat(handle).st_mode
    if not stat.S_ISREG(found):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(found) else "a pipe" if stat.S_ISFIFO(found) else "a device"
        raise KdslError(f"{path}: is {kind}, not a file; give the name of a file")
    return handle


@contextmanager
def parsing(place: object, what: str, remedy: Hint | str = "") -> Iterator[None]:
    """Turns whatever a parser raises about the text or bytes it is given into the KdslError `place: what (why)`.

    `remedy` is told too: what to do about such a file. For parsers, and for taking apart what they return: nobody can
    list what those of other people raise, from RecursionError to zlib.error.
    """
    try:
        yield
    except KdslError:
        raise
    except Exception as error:
        raise KdslError(f"{place}: {what} ({_reason(error)})", remedy) from error


def _reason(error: Exception) -> str:
    """Why, in a few words."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "half a character"
    if isinstance(error, RecursionError):
        return "lists or objects within each other too deeply"
    if isinstance(error, MemoryError):
        return "more than fits the memory"
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r}" if error.args else "something is missing"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    said = first_line(error)
    if "integer string conversion" in said:
        return "a number of thousands of digits"
    return said[:200]


def file_digest(path: Path) -> bytes:
    """SHA-256 of what stands in `path`; errors of `opened`."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").digest()


def file_hash(*paths: Path) -> str:
    """One hash, in hexadecimal, of the contents of files in this order; errors of `opened`."""
    return hashlib.sha256(b"".join(map(file_digest, paths))).hexdigest()


def read_bytes(path: Path) -> bytes:
    """All that stands in `path`; errors are those of `opened`, and one for a file that is too large to be read."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _LARGEST:
            raise KdslError(f"{path}: holds {size >> 20:,} MiB, more than can be read at once; split it")
        with parsing(path, "cannot be read"):
            return file.read()


def read_text(path: Path, keep_mark: bool = False) -> str:
    """The UTF-8 text of `path`, without its byte order mark; errors of `read_bytes`, and for what is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8" if keep_mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise KdslError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


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
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            if len(line) == _LONGEST_LINE:
                raise KdslError(f"{path}, line {number}: has more than {_LONGEST_LINE >> 20} MiB; split it")
            if line.strip(b"\xef\xbb\xbf \t\r\n" if number == 1 else None):
                yield number, _json_object(path, number, line, remedy)


def _json_object(path: Path, number: int, line: bytes, remedy: Hint | str) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise KdslError(
            f"{path}, line {number}: byte {error.start} is not UTF-8", remedy or "save the file as UTF-8"
        ) from error
    record = parse_json(text.rstrip("\r\n"), path, number, remedy)
    if not isinstance(record, dict):
        raise KdslError(f'{path}, line {number}: {text.strip()[:60]!r} is not a JSON object like {{"id": …}}', remedy)
    return record


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
