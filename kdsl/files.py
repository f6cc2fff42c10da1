"""Reading and writing files so that bad input is told by name and nothing is ever half-written."""

import errno
import hashlib
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from kdsl.errors import Hint, KdslError, first_line

_LONGEST_NAME = 255
"""Bytes that file systems allow for one part of a path."""
_LONGEST_PATH = 2048
"""Bytes of a name with its folders: half of what systems allow, for the folder that it is in is a part of the path."""
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}", re.DOTALL)
_LARGEST = 1 << 31
"""Bytes of a file that are read at once."""


def path_given(path: object, name: str) -> Path:
    """The path that a program gives as its argument `name`; KdslError for what cannot be one.

    >>> path_given(None, "folder")
    Traceback (most recent call last):
    kdsl.errors.KdslError: folder is None; give a path
    """
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise KdslError(f"{name} is {path!r:.80}; give a path")
    given = Path(path)
    try:
        longest = max((len(os.fsencode(part)) for part in given.parts), default=0)
    except UnicodeEncodeError as error:
        raise KdslError(f"{name} is {path!r:.80}, with half a character; give another path") from error
    if longest > _LONGEST_NAME:
        raise KdslError(
            f"{name} is {path!r:.80}…, with a name of {longest} bytes; at most {_LONGEST_NAME} are possible"
        )
    return given


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
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if real != root and not real.startswith(os.path.join(root, "")):
        raise KdslError(f"{shown_name(name)} leads outside {folder}; give a name below that folder")
    return path


def existing_file(folder: Path, name: str) -> Path | None:
    """The file that a sample calls so, an image or a sound; None where there is none, or it lies outside `folder`."""
    try:
        path = inside(folder, name)
        return path if path.is_file() else None
    except (KdslError, OSError):
        return None


def check_name(name: str, folder: str) -> None:
    """Raise what `inside` raises for a `name` that leads out of any folder; `folder` is what the sentence calls it."""
    encoded = name.encode("utf-8", "surrogatepass")
    halves = len(encoded) > len(name) and encoded.decode("utf-8", "replace") != name
    too_long = len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME
    if not name or halves or "\x00" in name or too_long:
        raise KdslError(f"{shown_name(name)} cannot be the name of a file; give a name below {folder}")
    # A backslash and a drive lead out on Windows only, but what is shared is opened there too.
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.anchor or ".." in windows.parts:
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


def write_atomically(path: Path, content: str | bytes, flushed: bool = True) -> None:
    """Write `content` to a temporary file beside `path`, flush it to disk and rename it over `path`.

    Not `flushed` it may be damaged after a power cut: for what has a checksum and can be made again. A file that is
    there keeps its mode, a new one gets the umask's. Raises KdslError when the folder cannot be written; the old file
    is then untouched.
    """
    temporary = None
    try:
        data = content.encode("utf-8") if isinstance(content, str) else content
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not made by `tempfile`, whose files nobody else may read: the system takes the umask from the wanted mode.
        name = unfinished(path)
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        temporary = name
        with os.fdopen(handle, "wb") as file:
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            if flushed:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def unfinished(path: Path) -> Path:
    """A new name beside `path` for what is to be renamed to it once it is whole."""
    return path.parent / f".{path.name[: _LONGEST_NAME // 8]}.{secrets.token_hex(6)}"


def is_unfinished(path: Path) -> bool:
    """Whether it has a name that `unfinished` gives."""
    return _UNFINISHED.fullmatch(path.name) is not None


def sync(path: Path) -> None:
    """Make what was written to a file, or renamed within a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Another one after every change of the file, or of the files in a folder; None without any."""
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            return status.st_mtime_ns, status.st_size, status.st_ino
        inner = [each.stat() for each in path.rglob("*")]
    except OSError:
        return None
    return max([status.st_mtime_ns, *(each.st_mtime_ns for each in inner)]), sum(each.st_size for each in inner), 0


def require_no_input(output: Path, inputs: Iterable[Path], what: str) -> None:
    """Raise KdslError where `output` is one of `inputs`, which would be lost; `what` is written."""
    for path in inputs:
        if output.resolve() == path.resolve():
            raise KdslError(f"{output}: is the input too; give the {what} a file of their own")


def cannot_write(path: Path, error: OSError | ValueError) -> KdslError:
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
        file = os.fdopen(open_regular(path, os.O_RDONLY), "rb")
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


def open_regular(path: Path, flags: int) -> int:
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
    """SHA-256 of what stands in `path`, of a folder in all files in it and their names; errors of `opened`."""
    if os.path.isdir(path):  # unlike Path.is_dir, of any name
        files = sorted(each for each in path.rglob("*") if each.is_file())
        names = "".join(f"{each.relative_to(path).as_posix()}\n" for each in files)
        return hashlib.sha256(names.encode("utf-8", "surrogateescape") + b"".join(map(file_digest, files))).digest()
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
