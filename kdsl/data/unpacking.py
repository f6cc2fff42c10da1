"""The bytes of a data file, unpacked on the way where it is compressed: gzip, bzip2, xz, or a zip of one file."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kdsl.errors import KdslError
from kdsl.files import opened, parsing

_RATIO, _ALWAYS = 100, 1 << 26
"""Text may become so many times larger, and so many bytes in any case; what grows more is made to fill the memory."""

_PACKED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open, b"]\x00\x00": lzma.open,
}  # fmt: skip
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_UNPACK = "unpack it first"
_TELL = {
    b"\x28\xb5\x2f\xfd": ("zstd", _UNPACK),
    b"\x04\x22\x4d\x18": ("lz4", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", _UNPACK),
    b"Rar!": ("RAR", _UNPACK),
    b"PAR1": ("Parquet", "export it as JSON Lines"),
    b"SQLite format 3\x00": ("SQLite", "export it as JSON Lines"),
    b"\xd0\xcf\x11\xe0": ("old Excel", "export it as JSON Lines"),
    b"%PDF": ("PDF", "give a file of samples"),
    b"\x89PNG": ("PNG", "give the file of samples that names the image"),
    b"\xff\xd8\xff": ("JPEG", "give the file of samples that names the image"),
}
"""How files begin that are something else, what they are, and what to do."""
_HEAD = 512
_AGAIN = "make the archive again"


@contextmanager
def open_unpacked(path: Path, content: Path | None = None) -> "Iterator[io.BufferedReader[Any]]":
    """The bytes, for reading from the beginning to the end; `content` is as for `iterate_records`.

    Raises KdslError, then or while they are read, for a file that is missing, no regular one, damaged, of another
    kind, an archive of several files, or grows out of all proportion.
    """
    with opened(content or path) as file:
        head = file.peek(_HEAD)[:_HEAD]
        unpack = next((each for magic, each in _PACKED.items() if head.startswith(magic)), None)
        if unpack is not None:
            inner: IO[bytes] = unpack(file)
        elif head.startswith(_ZIP):
            inner = _only_file(path, file)
        else:
            _refuse_others(path, head)
            yield file
            return
        limit = max(_ALWAYS, _RATIO * os.fstat(file.fileno()).st_size)
        with io.BufferedReader(_Unpacking(path, inner, limit), 1 << 16) as unpacked:
            _refuse_others(path, unpacked.peek(_HEAD)[:_HEAD], "holds")
            yield unpacked


class _Unpacking(io.RawIOBase):
    """What comes out of `inner`: damage and too many bytes are KdslErrors."""

    def __init__(self, path: Path, inner: IO[bytes], limit: int) -> None:
        self._path, self._inner, self._left = path, inner, limit

    def readable(self) -> bool:
        return True

    # A BufferedReader has no other kind of buffer filled.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with parsing(self._path, "cannot be unpacked", _AGAIN):
            data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise KdslError(
                f"{self._path}: becomes more than {_RATIO} times larger when it is unpacked; unpack it yourself if it "
                "holds samples"
            )
        buffer[: len(data)] = data
        return len(data)


def _only_file(path: Path, file: io.BufferedReader) -> IO[bytes]:
    with parsing(path, "cannot be unpacked", _AGAIN):
        archive = zipfile.ZipFile(file)
        names = [name for name in archive.namelist() if not name.endswith("/") and not _of_the_system(name)]
        if len(names) == 1:
            return archive.open(names[0])
    if "xl/workbook.xml" in names:
        raise KdslError(f"{path}: is an Excel workbook; export it as JSON Lines")
    raise KdslError(f"{path}: is an archive of {len(names)} files; give the one that holds the samples")


def _of_the_system(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")


def _refuse_others(path: Path, head: bytes, verb: str = "is") -> None:
    for magic, (kind, remedy) in _TELL.items():
        if head.startswith(magic):
            raise KdslError(f"{path}: {verb} a {kind} file; {remedy}")
    packed_again = verb != "is" and head.startswith((*_PACKED, *_ZIP))
    if packed_again or head[257:262] == b"ustar":
        raise KdslError(f"{path}: {verb} an archive; give the file of samples that is in it")
