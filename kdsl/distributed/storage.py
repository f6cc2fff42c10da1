"""Files below an address, on this machine or anywhere that fsspec reaches: whole when they are there, or not there."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from kdsl.distribution import install_command
from kdsl.errors import KdslError, first_line
from kdsl.files import cannot_write, is_unfinished, sync, unfinished, write_atomically

LOCAL = ("file", "local")


@dataclass(frozen=True)
class StoredFile:
    """A file as it was found."""

    name: str
    """As seen from the address, with slashes."""
    size: int
    stamp: str
    """Changes when the content does: the object's tag where the store has some, else size and time."""


class _Place(Protocol):
    """Where files are; errors are those of the system or the store. The empty name is the place itself."""

    def find(self) -> list[StoredFile]: ...
    def facts(self, name: str) -> StoredFile: ...
    def is_file(self) -> bool: ...
    def exists(self, name: str) -> bool: ...
    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes: ...
    def open(self, name: str) -> Any: ...
    def write(self, name: str, content: bytes) -> None: ...
    def put(self, name: str, source: Path) -> None: ...
    def remove(self, name: str) -> None: ...


@dataclass(frozen=True)
class Storage:
    """A folder on this machine, or an address such as `s3://bucket/folder`. Picklable.

    Errors are KdslErrors: the address, what is wrong there, and what would be right.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     storage = Storage(folder)
    ...     storage.write("a/b.txt", b"text")
    ...     storage.read("a/b.txt"), [file.name for file in storage.files()]
    (b'text', ['a/b.txt'])
    """

    address: str

    @property
    def folder(self) -> Path | None:
        """Where it lies on this machine; None for an address elsewhere."""
        if "://" not in self.address:
            return Path(self.address)
        scheme, _, rest = self.address.partition("://")
        return Path(rest) if scheme in LOCAL else None

    @property
    def whole_address(self) -> str:
        """The same for one place, however it is given."""
        return self.address.rstrip("/") if self.folder is None else str(self.folder.resolve())

    def place(self, name: str) -> str:
        """What messages call a file."""
        return f"{self.address.rstrip('/')}/{name}" if name else self.address

    def files(self) -> list[StoredFile]:
        """All files below, by name; none where nothing is there. Hidden ones are left out, and those that begin with
        an underscore, which other tools leave out too."""
        with self._told("cannot be looked into"):
            found = self._place.find()
        return sorted((file for file in found if not _is_left_out(file.name)), key=lambda file: file.name)

    def facts(self, name: str) -> StoredFile:
        """A file as it is now."""
        with self._told("cannot be looked at", name):
            return self._place.facts(name)

    def is_file(self) -> bool:
        """Whether the address itself is a file."""
        with self._told("cannot be looked at"):
            return self._place.is_file()

    def exists(self, name: str = "") -> bool:
        with self._told("cannot be looked at", name):
            return self._place.exists(name)

    def is_empty(self, but: str = "") -> bool:
        """Whether nothing at all is there, hidden files and `but` aside."""
        with self._told("cannot be looked into"):
            return all(name.startswith(".") or name == but for name in self._place.names())

    def read(self, name: str) -> bytes:
        """All of a file."""
        with self._told("cannot be read", name):
            return self._place.read(name)

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """A file to be read in part."""
        with self._told("cannot be read", name), self._place.open(name) as file:
            yield file

    def local_copy(self, name: str, folder: Path) -> Path:
        """A file on this machine with the bytes of this one: itself, or a copy in `folder`."""
        if self.folder is not None:
            return self.folder / name
        copy = folder / "shard"
        with self.opened(name) as file, copy.open("wb") as local:
            shutil.copyfileobj(file, local, 1 << 20)
        return copy

    def write(self, name: str, content: bytes) -> None:
        """The whole of a file at once: under another name first on this machine, else as one object."""
        with self._told("cannot be written", name):
            self._place.write(name, content)

    @contextmanager
    def writing(self, name: str, scratch: Path) -> Iterator[Path]:
        """A local file to write to, which becomes that file in the end, at once; it is not there after an error.

        `scratch` is a folder for it where the storage is elsewhere.
        """
        local = scratch / "result" if self.folder is None else unfinished(self.folder / name)
        with self._told("cannot be written", name):
            local.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield local
            with self._told("cannot be written", name):
                self._place.put(name, local)
        finally:
            local.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone is fine."""
        with self._told("cannot be deleted", name):
            try:
                self._place.remove(name)
            except FileNotFoundError:
                return

    def remove_unfinished(self) -> None:
        """Delete what killed processes left of files that they were writing; nobody may be writing now."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in [path for path in self.folder.rglob(".*") if is_unfinished(path)]:
            with self._told("cannot be deleted", path.name):
                path.unlink(missing_ok=True)

    @cached_property
    def _place(self) -> _Place:
        if self.folder is not None:
            return _Folder(self.folder.absolute())
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise KdslError(
                f"{self.address}: an address needs fsspec, which is not installed: {install_command('ray')}"
            ) from error
        with self._told("cannot be reached"):
            # Listings are looked up anew: other machines write there too.
            return _Elsewhere(*url_to_fs(self.address, use_listings_cache=False))

    @contextmanager
    def _told(self, what: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except KdslError:
            raise
        except FileNotFoundError as error:
            raise KdslError(f"{self.place(name)}: no such file or folder; look at the address") from error
        except PermissionError as error:
            raise KdslError(
                f"{self.place(name)}: {what}, for lack of rights; get them, or name another place"
            ) from error
        except ImportError as error:  # fsspec names the package that the address needs
            raise KdslError(f"{self.address}: {first_line(error)}") from error
        except OSError as error:
            if self.folder is not None and what == "cannot be written":
                raise cannot_write(self.folder / name, error) from error
            raise KdslError(f"{self.place(name)}: {what} ({first_line(error)})") from error
        except Exception as error:  # every store has errors of its own
            raise KdslError(f"{self.place(name)}: {what} ({first_line(error)})") from error

    def __getstate__(self) -> dict[str, str]:
        return {"address": self.address}


def _is_left_out(name: str) -> bool:
    return not name or any(part.startswith((".", "_")) for part in name.split("/"))


@dataclass(frozen=True)
class _Folder:
    """On this machine, without fsspec."""

    root: Path

    def find(self) -> list[StoredFile]:
        if not self.root.is_dir():
            return []
        found = []
        for folder, _, names in os.walk(self.root, onerror=_raised):
            for name in names:
                path = Path(folder, name)
                status = path.stat() if path.exists() else path.lstat()
                if not stat.S_ISDIR(status.st_mode):
                    found.append(_stored(path.relative_to(self.root).as_posix(), status))
        return found

    def facts(self, name: str) -> StoredFile:
        return _stored(name, (self.root / name).stat())

    def is_file(self) -> bool:
        return self._status("") is not None and not self.root.is_dir()

    def exists(self, name: str) -> bool:
        return self._status(name) is not None

    def _status(self, name: str) -> os.stat_result | None:
        """None where nothing is; without rights to look, an error."""
        try:
            return (self.root / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self) -> list[str]:
        return os.listdir(self.root) if self._status("") is not None else []

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def open(self, name: str) -> Any:
        return (self.root / name).open("rb")

    def write(self, name: str, content: bytes) -> None:
        write_atomically(self.root / name, content)

    def put(self, name: str, source: Path) -> None:
        sync(source)
        os.replace(source, self.root / name)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()


def _raised(error: OSError) -> None:
    raise error


def _stored(name: str, status: os.stat_result) -> StoredFile:
    return StoredFile(name, status.st_size, f"{status.st_size} {status.st_mtime_ns}")


@dataclass(frozen=True)
class _Elsewhere:
    """Anywhere that fsspec reaches."""

    system: Any
    root: str

    def find(self) -> list[StoredFile]:
        found = self.system.find(self.root, detail=True)
        names = {path: path[len(self.root.rstrip("/")) :].lstrip("/") for path in found}
        return [self._stored(names[path], facts) for path, facts in found.items() if facts.get("type") != "directory"]

    def facts(self, name: str) -> StoredFile:
        return self._stored(name, self.system.info(self._path(name)))

    def _stored(self, name: str, facts: dict[str, Any]) -> StoredFile:
        tag = facts.get("ETag") or facts.get("etag") or facts.get("md5Hash")
        time = facts.get("mtime") or facts.get("LastModified") or facts.get("updated") or facts.get("created") or ""
        if isinstance(time, datetime):  # one store gives it so here and as seconds there
            time = time.timestamp()
        return StoredFile(name, int(facts.get("size") or 0), f"{facts.get('size')} {tag or time}")

    def is_file(self) -> bool:
        return bool(self.system.isfile(self.root))

    def exists(self, name: str) -> bool:
        return bool(self.system.exists(self._path(name)))

    def names(self) -> list[str]:
        try:
            found = self.system.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in found]

    def read(self, name: str) -> bytes:
        return bytes(self.system.cat_file(self._path(name)))

    def open(self, name: str) -> Any:
        return self.system.open(self._path(name), "rb")

    def write(self, name: str, content: bytes) -> None:
        self.system.pipe_file(self._path(name), content)

    def put(self, name: str, source: Path) -> None:
        self.system.put_file(str(source), self._path(name))

    def remove(self, name: str) -> None:
        self.system.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}" if name else self.root
