"""Pictures on disk as a model takes them, so that none is decoded and resized twice."""

import hashlib
import logging
import os
import re
import shutil
import stat
import struct
import time
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from kdsl.errors import KdslError
from kdsl.files import file_digest, write_atomically
from kdsl.vlm.patches import Patches, PatchForm

log = logging.getLogger(__name__)

PICTURES_FOLDER = "pictures"
"""In the checkpoint folder."""

_HEAD = struct.Struct("<16s3I")
"""Mark, rows, columns and a CRC-32 of them and of the values, which follow."""
_MARK = b"KDSL patches 1\r\n"
_LARGEST = 1 << 28
"""Bytes of an entry: the largest pictures that are decoded have 90 million values."""
_MOST = 16 << 30
"""Bytes of all entries: ten thousand screenshots at the default budget."""
_EVERY = 64
"""Entries that one process adds before it looks how many bytes there are."""
_FRESH = 3600.0
"""Seconds for which an entry counts as just used, and a file that is being written as alive."""
_ENTRY = re.compile(r"[0-9a-f]{64}\.patches")
_UNFINISHED = re.compile(r"\.[0-9a-f]{31}\.[0-9a-f]{12}")
"""What `write_atomically` leaves of an entry when its process is killed."""


class PictureCache:
    """One file a picture in a folder, by its content and its `PatchForm`. Those used longest ago go first.

    For several threads and processes at once. It is a cache and nothing more: an entry that is damaged is made again,
    and in a folder that cannot be written nothing is kept, with one warning.
    """

    def __init__(self, folder: Path, most: int = _MOST) -> None:
        """`most`: bytes that entries may take; they never take more than is left free on the disk."""
        self._folder = folder
        self._most = most
        self._lock = Lock()
        self._added = 0
        self._closed = False

    def __getstate__(self) -> dict[str, Any]:
        """For other processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = Lock()

    def holds(self, path: Path, form: PatchForm) -> bool:
        """Whether there is an entry of the picture, perhaps a damaged one."""
        with suppress(OSError, KdslError):
            return self._entry(_content(path), form).is_file()
        return False

    def keep(self, path: Path, form: PatchForm) -> None:
        """Have an entry of the picture. What is wrong with its file is for `patches` to tell."""
        if not self.holds(path, form):
            with suppress(KdslError):
                self.patches(path, form)

    def patches(self, path: Path, form: PatchForm) -> Patches:
        """The picture in a file, kept or made now. Raises what `PatchForm.patches` raises."""
        try:
            content = _content(path)
        except (OSError, KdslError):
            return form.patches(path)  # which says in one sentence what is wrong with it
        entry = self._entry(content, form)
        found = _read(entry, form)
        if found is None:
            found = form.patches(path)
            with suppress(OSError, KdslError):
                if _content(path) == content:
                    self._write(entry, found)
        return found

    def _entry(self, content: bytes, form: PatchForm) -> Path:
        key = hashlib.sha256(content + form.identity.encode()).hexdigest()
        return self._folder / f"{key}.patches"

    def _write(self, entry: Path, patches: Patches) -> None:
        if self._closed:
            return
        if self._folder.is_symlink():  # which may lead anywhere
            self._close("the folder is a link")
            return
        head = _HEAD.pack(_MARK, patches.rows, patches.columns, _checksum(patches))
        try:
            write_atomically(entry, head + patches.values.tobytes(), flushed=False)
        except KdslError as error:
            self._close(str(error))
            return
        with self._lock:
            due = self._added % _EVERY == 0
            self._added += 1
        if due:
            self._tidy()

    def _close(self, reason: str) -> None:
        with self._lock:
            told, self._closed = self._closed, True
        if not told:
            log.warning("%s: no prepared pictures are kept, so they are prepared each time: %s", self._folder, reason)

    def _tidy(self) -> None:
        """Delete the entries used longest ago, where there are too many bytes, and what killed processes left."""
        with suppress(OSError):  # other processes tidy up too
            now = time.time()
            entries: list[tuple[float, int, str]] = []
            for file in os.scandir(self._folder):
                with suppress(OSError):
                    found = file.stat(follow_symlinks=False)
                    if _ENTRY.fullmatch(file.name):
                        entries.append((found.st_mtime, found.st_size, file.path))
                    elif _UNFINISHED.fullmatch(file.name) and found.st_mtime < now - _FRESH:
                        os.unlink(file.path)
            held = sum(size for _, size, _ in entries)
            most = min(self._most, (held + shutil.disk_usage(self._folder).free) // 2)
            for _, size, path in sorted(entries):
                if held <= most:
                    break
                held -= size
                with suppress(OSError):
                    os.unlink(path)


def _read(entry: Path, form: PatchForm) -> Patches | None:
    """None where there is no entry, or a damaged one."""
    try:
        with entry.open("rb") as file:
            status = os.fstat(file.fileno())
            if not _HEAD.size < status.st_size <= _LARGEST:
                return None
            mark, rows, columns, checksum = _HEAD.unpack(file.read(_HEAD.size))
            values = np.fromfile(file, dtype=np.uint8)
    except OSError:
        return None
    width = 3 * form.side**2
    if mark != _MARK or rows % form.merged or columns % form.merged or len(values) != rows * columns * width:
        return None
    found = Patches(values.reshape(rows * columns, width), rows, columns)
    if _checksum(found) != checksum:
        return None
    if status.st_mtime < time.time() - _FRESH:
        with suppress(OSError):  # a folder that is only read
            os.utime(entry)
    return found


def _checksum(patches: Patches) -> int:
    return zlib.crc32(patches.values.data, zlib.crc32(f"{patches.rows} {patches.columns}".encode()))


def _content(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is no file")
    return _digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=100_000)
def _digest(path: Path, modified: int, size: int) -> bytes:
    return file_digest(path)
