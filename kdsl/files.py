"""Reading and writing files so that bad input is named by line and nothing is ever half-written."""

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

from kdsl.errors import KdslError
from kdsl.locks import held

_TAIL = 65536
"""Bytes of a file that are read at once when its last line is looked for."""
_LONGEST_NAME = 255
"""Bytes that file systems allow for one part of a path."""
_LONGEST_PATH = 2048
"""Bytes of a name with its folders: half of what systems allow, for the folder that it is in is a part of the path."""


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


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to a temporary file beside `path`, flush it to disk and rename it over `path`.

    A file that is there keeps its mode, a new one gets the umask's. Raises KdslError when the folder cannot be
    written; the old file is then untouched.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
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
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomically(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


@contextmanager
def append_jsonl(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives a function that appends one object a line, each on disk as soon as it is written, for work to be resumed.

    A last line that was torn by an interruption is taken away first; one that another process writes just now is not.
    Raises KdslError when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with held(path):
            _repair_last_line(path)
        file = path.open("ab", buffering=0)  # on a full disk a buffer would be written again when it is closed
    except OSError as error:
        raise _cannot_write(path, error) from error

    def append(record: dict[str, Any]) -> None:
        rest = json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n"
        try:
            with held(path):
                while rest:
                    rest = rest[file.write(rest) :]
        except OSError as error:
            raise _cannot_write(path, error) from error

    with file:
        yield append


def _repair_last_line(path: Path) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("r+b") as file:
        start, last = _last_line(file)
        try:
            json.loads(last.decode("utf-8") or "{}")
        except ValueError:
            # Only the beginning of a record may go: the end of another kind of file is left to the reader's error.
            if b'{"'.startswith(last[:2]):
                file.truncate(start)
            return
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


def _cannot_write(path: Path, error: OSError) -> KdslError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "free some space and try again" if full else "choose a folder that you may write to"
    return KdslError(f"{path}: cannot be written ({error.strerror}); {what}")


def read_text(path: Path) -> str:
    """The UTF-8 text of `path` (a byte order mark is dropped); KdslError when it is missing, a folder or not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise KdslError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise KdslError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise KdslError(f"{path}: cannot be read ({error.strerror})") from error


def read_json(path: Path) -> Any:
    """The JSON value in `path`; KdslError with line and column when it is truncated or not JSON."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise KdslError(f"{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise KdslError(f"{path}: not data of this tool ({error})") from error


def read_jsonl(path: Path, remedy: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every non-empty line, streaming.

    KdslError names a bad line, and tells `remedy`: what to do about one in this kind of file.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip(b"\xef\xbb\xbf \t\r\n" if number == 1 else None):
                    yield number, _json_object(path, number, line, remedy)
    except FileNotFoundError as error:
        raise KdslError(f"{path}: no such file") from error
    except OSError as error:
        raise KdslError(f"{path}: cannot be read ({error.strerror})") from error


def _json_object(path: Path, number: int, line: bytes, remedy: str) -> dict[str, Any]:
    advice = f"; {remedy}" if remedy else ""
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise KdslError(
            f"{path}, line {number}: byte {error.start} is not UTF-8; {remedy or 'save the file as UTF-8'}"
        ) from error
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KdslError(f"{path}, line {number}: not valid JSON ({getattr(error, 'msg', error)}){advice}") from error
    if not isinstance(record, dict):
        raise KdslError(f'{path}, line {number}: {text.strip()[:60]!r} is not a JSON object like {{"id": …}}{advice}')
    return record
