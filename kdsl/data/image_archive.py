"""A zip archive as `data.images`: unpacked once into a folder beside it, and again where the archive has changed."""

import json
import logging
import os
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kdsl.data.media_folder import CACHE
from kdsl.errors import KdslError
from kdsl.files import cannot_write, check_name, is_there, opened, parsing, write_atomically
from kdsl.json_file import read_json
from kdsl.locks import held
from kdsl.progress import Progress, track

_log = logging.getLogger(__name__)

_NOTE = f"{CACHE}/archive.json"
"""Size and time of the archive that a folder was unpacked from; nothing else makes such a file."""
_RATIO, _ALWAYS = 100, 1 << 28
"""Images may become so many times larger, and so many bytes in any case; what grows more is made to fill the disk."""
_AGAIN = "make the archive again"
_UTF8 = 0x800
_PIECE = 1 << 20


def unpacked(archive: Path, progress: Progress | None = None) -> Path:
    """The folder `<archive>.unpacked` with what the archive holds, unpacked now where that is not there yet.

    What was fetched or kept there meanwhile stays. Raises KdslError, and leaves what was there, for an archive that is
    damaged, needs a password, names a place outside, or grows out of all proportion, and for a folder of that name
    that KDSL did not make.
    """
    folder = archive.with_name(f"{archive.name}.unpacked")
    with held(archive):
        status = archive.stat()
        of = {"size": status.st_size, "time": status.st_mtime_ns}
        known = read_json(folder / _NOTE) if is_there(folder / _NOTE) else None
        if known == of:
            return folder
        if known is None and is_there(folder):
            raise KdslError(f"{folder}: is not what KDSL unpacked from {archive.name}; give it another name")
        for left in folder.parent.glob(f".{folder.name}.*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
        try:
            _unpack(archive, fresh, progress)
            if is_there(folder / CACHE):
                shutil.copytree(folder / CACHE, fresh / CACHE, symlinks=True)
            write_atomically(fresh / _NOTE, json.dumps(of) + "\n")
            if known is not None:
                shutil.rmtree(folder)
            os.replace(fresh, folder)
        except OSError as error:
            raise cannot_write(folder, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _unpack(archive: Path, folder: Path, progress: Progress | None) -> None:
    with opened(archive) as file, parsing(archive, "cannot be unpacked", _AGAIN):
        packed = zipfile.ZipFile(file)
        entries = list(_entries(archive, packed))
        left = max(_ALWAYS, _RATIO * archive.stat().st_size)
        folder.mkdir()
        for name, entry in track(entries, f"Unpacking {archive.name}", len(entries), progress):
            with packed.open(entry) as held_file, _new_file(archive, folder, name) as written:
                while piece := held_file.read(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise KdslError(
                            f"{archive}: becomes more than {_RATIO} times larger when it is unpacked; unpack it "
                            "yourself if it holds images"
                        )
                    written.write(piece)


@contextmanager
def _new_file(archive: Path, folder: Path, name: str) -> Iterator[BinaryIO]:
    """A file below `folder` to be written; KdslError where that cannot be, by the fault of the archive or the disk."""
    path = folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            yield file
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise KdslError(f"{archive}: {name!r} stands where a folder or another file does; {_AGAIN}") from error
    except OSError as error:
        raise cannot_write(path, error) from error


def _entries(archive: Path, packed: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files to be unpacked, by their names; those of the system, links and repetitions are left out, told."""
    seen: set[str] = set()
    links = repeated = 0
    for entry in packed.infolist():
        name = _name(entry).replace("\\", "/")
        if name.endswith("/") or name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._"):
            continue
        try:
            check_name(name, "the archive's folder")
        except KdslError as error:
            raise KdslError(f"{archive}: {error}") from error
        name = "/".join(part for part in name.split("/") if part not in ("", "."))
        if stat.S_ISLNK(entry.external_attr >> 16):
            links += 1
        elif name in seen or name.split("/")[0] == CACHE:
            repeated += 1
        else:
            seen.add(name)
            yield name, entry
    for count, what in ((links, "links"), (repeated, "files whose name another one has")):
        if count:
            _log.warning("%s: %d %s left out", archive, count, what)


def _name(entry: zipfile.ZipInfo) -> str:
    """The name as it was meant: archives of Windows in Chinese hold it in GB 18030, of others in UTF-8, unmarked."""
    if entry.flag_bits & _UTF8:
        return entry.filename
    try:
        held_bytes = entry.filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return held_bytes.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename
