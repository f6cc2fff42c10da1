"""The bytes of a data file, unpacked on the way where it is compressed: gzip, bzip2, xz, or a zip with one of them."""

import bz2
import gzip
import io
import logging
import lzma
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kdsl.errors import KdslError
from kdsl.files import opened, parsing

_log = logging.getLogger(__name__)

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
    b"SQLite format 3\x00": ("SQLite", "export its table as CSV"),
    b"%PDF": ("PDF", "give a file of samples"),
    b"\x89PNG": ("PNG", "give the file of samples that names the image"),
    b"\xff\xd8\xff": ("JPEG", "give the file of samples that names the image"),
}
"""How files begin that are something else, what they are, and what to do."""
_IN_ANY_ORDER = (b"PAR1", b"ARROW1", b"\xd0\xcf\x11\xe0")
"""How Parquet, Arrow and old Excel files begin."""
SAMPLES_NAME = re.compile(
    r"\.(csv|tsv|tab|psv|jsonl?|ndjson|xlsx|xlsm|xlsb|xls|ods|parquet|arrow|feather|ya?ml)(\.(gz|bz2|xz))?$",
    re.IGNORECASE,
)
"""Names that files of samples have."""
_IMAGE = re.compile(r"\.(png|jpe?g|webp|gif|bmp|tiff?|heic)$", re.IGNORECASE)
_NAMED = 5
_OUT_OF_PROPORTION = f"becomes more than {_RATIO} times larger when it is unpacked"
_HEAD = 512
_AGAIN = "make the archive again"


@contextmanager
def open_unpacked(path: Path, content: Path | None = None) -> "Iterator[io.BufferedReader[Any]]":
    """The bytes, for reading from the beginning to the end; `content` is as for `iterate_records`.

    Excel workbooks, Parquet and Arrow files, which are read in any order, can be; the first are bounded too.
    Raises KdslError, then or while they are read, for a file that is missing, no regular one, damaged, of another
    kind, an archive in which it is open which file holds the samples, or grows out of all proportion.
    """
    with opened(content or path) as file:
        limit = max(_ALWAYS, _RATIO * os.fstat(file.fileno()).st_size)
        head = file.peek(_HEAD)[:_HEAD]
        unpack = next((each for magic, each in _PACKED.items() if head.startswith(magic)), None)
        if unpack is not None:
            inner: IO[bytes] = unpack(file)
        elif head.startswith(_ZIP):
            found = _samples_in(path, file)
            if found is None:
                _check_size(path, file, limit)
                yield file
                return
            inner = found
        else:
            _refuse_others(path, head)
            yield file
            return
        with io.BufferedReader(_Unpacking(path, inner, limit), 1 << 16) as unpacked:
            head = unpacked.peek(_HEAD)[:_HEAD]
            if not head.startswith((*_IN_ANY_ORDER, *_ZIP)):
                _refuse_others(path, head, "holds")
                yield unpacked
                return
            with _copied(unpacked) as whole:
                if head.startswith(_ZIP):
                    if _samples_in(path, whole, "holds") is not None:
                        raise KdslError(f"{path}: holds an archive; give the file of samples that is in it")
                    _check_size(path, whole, limit)
                yield whole


@contextmanager
def _copied(file: io.BufferedIOBase) -> "Iterator[io.BufferedReader[Any]]":
    """What is left of `file`, for reading in any order."""
    with io.BufferedReader(tempfile.TemporaryFile(buffering=0)) as copy:
        shutil.copyfileobj(file, copy.raw)
        copy.seek(0)
        yield copy


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
            raise KdslError(f"{self._path}: {_OUT_OF_PROPORTION}; unpack it yourself if it holds samples")
        buffer[: len(data)] = data
        return len(data)


def _samples_in(path: Path, file: "io.BufferedReader[Any]", verb: str = "is") -> IO[bytes] | None:
    """The file of samples in a zip; None, with `file` at its beginning, where the zip itself is a workbook."""
    with parsing(path, "cannot be unpacked", _AGAIN):
        archive = zipfile.ZipFile(file)
        names = [name for name in archive.namelist() if not name.endswith("/") and not _of_the_system(name)]
        if _is_workbook(archive, names):
            file.seek(0)
            return None
        found = names if len(names) == 1 else [name for name in names if SAMPLES_NAME.search(name)]
        if len(found) == 1:
            others = [name for name in names if name not in found and not _IMAGE.search(name)]
            if others:
                _log.warning(
                    "%s: %s is read; %d other files in it are not: %s%s",
                    path, found[0], len(others), ", ".join(others[:_NAMED]), ", …" if len(others) > _NAMED else "",
                )  # fmt: skip
            return archive.open(found[0])
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise KdslError(f"{path}: {verb} a document without sheets; give a table: .xlsx, .ods or CSV")
    among = ": " + ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "") if found else ""
    raise KdslError(
        f"{path}: {verb} an archive of {len(names)} files, {len(found) or 'none'} of which may hold samples{among}; "
        "give the one that does"
    )


def _is_workbook(archive: zipfile.ZipFile, names: Sequence[str]) -> bool:
    if "mimetype" in names and "content.xml" in names:
        return b"spreadsheet" in archive.read("mimetype")[:_HEAD]
    return any(name.startswith("xl/workbook.") for name in names)


def _check_size(path: Path, file: "io.BufferedReader[Any]", limit: int) -> None:
    """Raise KdslError for a workbook that is damaged or becomes too large; `file` is at its beginning afterwards."""
    with parsing(path, "cannot be read", "it is damaged: save it again"):
        archive = zipfile.ZipFile(file)
        for member in archive.infolist():
            with archive.open(member) as inner:
                while block := inner.read(1 << 20):
                    limit -= len(block)
                    if limit < 0:
                        raise KdslError(f"{path}: {_OUT_OF_PROPORTION}; save its table as CSV")
    file.seek(0)


def _of_the_system(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")


def _refuse_others(path: Path, head: bytes, verb: str = "is") -> None:
    for magic, (kind, remedy) in _TELL.items():
        if head.startswith(magic):
            raise KdslError(f"{path}: {verb} a {kind} file; {remedy}")
    packed_again = verb != "is" and head.startswith((*_PACKED, *_ZIP))
    if packed_again or head[257:262] == b"ustar":
        raise KdslError(f"{path}: {verb} an archive; give the file of samples that is in it")
