"""Locks that keep two commands from writing one thing, and readers from what is half-written.

Both kinds are `flock`s: the system gives them up when a process ends, however it ends. A command has claimed what it
writes for as long as it works, and who comes second is told who was first. A file or folder that is written in a
moment is held for just that moment, and others wait.
"""

import json
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from kdsl.errors import KdslError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]  # every use asks whether it is there

_log = logging.getLogger(__name__)

_IN_FOLDER = ".kdsl.lock"
_LONGEST_NAME = 255
"""Bytes that file systems allow for one part of a path."""
_TRIES = 100
"""Of opening a lock file that others delete as they end."""

_claims: set[Path] = set()
"""Lock files of what this process has claimed."""
_handles: set[int] = set()
"""Of locks that this process has. A forked child closes them: it would keep them when its parent is gone."""
_of_thread = threading.local()
"""`held`: (device, inode) → whether shared, of what this thread holds."""


@contextmanager
def claimed(*, folders: Iterable[Path | None] = (), files: Iterable[Path | None] = ()) -> Iterator[None]:
    """No other process claims these meanwhile, whatever names and links they go by; they need not be there yet.

    None is left out, and so is what is no plain file or no folder, such as a pipe. A claim within one of the same
    process is that one. Raises KdslError, naming the command that has one of them, and where one cannot be written.
    """
    wanted: dict[Path, Path] = {}
    for path in folders:
        if path is not None and _is(stat.S_ISDIR, path):
            wanted[Path(os.path.realpath(path), _IN_FOLDER)] = path
    for path in files:
        if path is not None and _is(stat.S_ISREG, path):
            wanted[_beside(Path(os.path.realpath(path)))] = path
    with ExitStack() as stack:
        for lock, path in sorted(wanted.items()):
            stack.enter_context(_claim(lock, path))
        yield


@contextmanager
def held(path: Path, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """`path`, a file or folder, is held alone, or by those who only read it where it is `shared`: all others wait.

    What is not there, or cannot be read, is not held. What a thread holds it can hold again, but not alone what it
    shares. Raises KdslError where somebody else holds it and `wait` is False.
    """
    handle = _opened(path)
    if handle is None:
        yield
        return
    mine: dict[tuple[int, int], bool] = _of_thread.__dict__.setdefault("mine", {})
    status = os.fstat(handle)
    key = status.st_dev, status.st_ino
    if key in mine:
        os.close(handle)
        assert shared or not mine[key], f"{path} is shared"
        yield
        return
    _handles.add(handle)
    try:
        if not _flock(handle, path, shared, wait):
            raise KdslError(f"{path}: another command is writing it; wait until it has ended, and run again")
        mine[key] = shared
        yield
    finally:
        mine.pop(key, None)
        _close(handle)


def require_locks(what: str) -> None:
    """Raises KdslError on a system without them: `what` would lose what several people do at once."""
    if fcntl is None:
        raise KdslError(f"{what} needs Linux or macOS, where folders can be locked; on Windows use WSL")


def is_lock(path: Path | str) -> bool:
    """Whether the file, or that of the name, is one of those that `claimed` makes: it holds nothing of a project."""
    name = path if isinstance(path, str) else path.name
    return name.startswith(".") and name.endswith(".lock")


def _is(kind: Callable[[int], bool], path: Path) -> bool:
    """Whether it is of that kind, or not there yet."""
    try:
        return kind(path.stat().st_mode)
    except OSError:  # what is wrong with it is said when it is to be written
        return True


def _beside(path: Path) -> Path:
    name = f".{path.name}.lock"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{sha256(os.fsencode(path.name)).hexdigest()}.lock"
    return path.with_name(name)


@contextmanager
def _claim(lock: Path, path: Path) -> Iterator[None]:
    if fcntl is None:
        _tell_unlocked(path, "this system has no locks")
    if fcntl is None or lock in _claims:
        yield
        return
    made = [folder for folder in lock.parents if not folder.exists()]
    try:
        handle = _take(lock, path)
    except OSError as error:
        raise KdslError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that you may write to"
        ) from error
    _claims.add(lock)
    _handles.add(handle)
    try:
        yield
    finally:
        if handle in _handles:  # a forked child is on its way out through here too
            _claims.remove(lock)
            with suppress(OSError):  # one that stays is in nobody's way
                if _is_still(lock, os.fstat(handle)):
                    lock.unlink()  # while it is locked: who opened it before sees that, and makes another
            _close(handle)
            with suppress(OSError):  # something was written there
                for folder in made:
                    folder.rmdir()


def _take(lock: Path, path: Path) -> int:
    """The handle of the lock file, locked, with a note on this process in it."""
    for _ in range(_TRIES):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = _open_lock(lock)
        except FileNotFoundError:  # who had it has deleted the folder that was made for it
            continue
        try:
            status = os.fstat(handle)
            if not _flock(handle, path, shared=False, wait=False):
                raise KdslError(f"{path}: {_holder(handle)}; wait until that has ended, or end it, and run again")
            if _is_still(lock, status):
                if status.st_uid == os.geteuid():
                    with suppress(OSError):  # the disk is full: the command says so when it writes
                        os.ftruncate(handle, 0)
                        os.pwrite(handle, _note(), 0)
                    return handle
                lock.unlink()  # another user's, who was killed: it may not be written to
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise KdslError(f"{lock}: is deleted and made again all the time; end the other commands, and run again")


def _open_lock(lock: Path) -> int:
    if os.path.lexists(lock) and not stat.S_ISREG(lock.lstat().st_mode):
        raise KdslError(f"{lock}: is no lock that KDSL made; delete it")
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(lock, flags | os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        try:
            return os.open(lock, flags | os.O_RDONLY)  # another user's
        except FileNotFoundError:
            raise error from None


def _is_still(lock: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(lock.lstat(), status)
    except FileNotFoundError:
        return False


def _note() -> bytes:
    command = " ".join(" ".join(["kdsl", *sys.argv[1:]]).split())
    since = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    note = {"command": command, "process": os.getpid(), "host": os.uname().nodename, "since": since}
    return json.dumps(note).encode()


def _holder(handle: int) -> str:
    try:
        note = json.loads(os.pread(handle, 65536, 0))
        where = "" if note["host"] == os.uname().nodename else f" on {note['host']}"
        return f"`{note['command']}` (process {note['process']}{where}, since {note['since']}) is writing there"
    except (ValueError, KeyError, TypeError):  # it has only just begun
        return "another command is writing there"


def _opened(path: Path) -> int | None:
    if fcntl is None or not (path.is_file() or path.is_dir()):
        return None
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # who reads or writes it says what is wrong
        return None


def _flock(handle: int, path: Path, shared: bool, wait: bool) -> bool:
    """Whether it could be had; where the file system has no locks everybody has them, with a warning."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        _tell_unlocked(path, f"this file system has no locks ({error.strerror})")
    return True


_told: set[str] = set()


def _tell_unlocked(path: Path, why: str) -> None:
    if why not in _told:
        _told.add(why)
        _log.warning("%s: %s: nothing keeps two commands from writing there at once; start one at a time", path, why)


def _close(handle: int) -> None:
    if handle in _handles:
        _handles.remove(handle)
        os.close(handle)


def _forget() -> None:
    """In a forked child."""
    _claims.clear()
    _of_thread.__dict__.clear()
    while _handles:
        os.close(_handles.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
