"""Files below an address, on this machine or anywhere that fsspec reaches: whole when they are there, or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from kdsl.distribution import install_command
from kdsl.errors import KdslError, first_line
from kdsl.files import write_atomically

LOCAL = ("file", "local")


@dataclass(frozen=True)
class StoredFile:
    """A file as it was found."""

    name: str
    """As seen from the address, with slashes."""
    size: int
    stamp: str
    """Changes when the content does: the object's tag where the store has some, else size and time."""


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

    def place(self, name: str) -> str:
        """What messages call a file."""
        return f"{self.address.rstrip('/')}/{name}" if name else self.address

    def files(self) -> list[StoredFile]:
        """All files below, by name; none where nothing is there. Hidden ones are left out, and those that begin with
        an underscore, which other tools leave out too."""
        with self._told("cannot be looked into"):
            found = self._system.find(self._root, detail=True)
        files = []
        for path, facts in found.items():
            if facts.get("type") == "directory":
                continue
            name = path[len(self._root.rstrip("/")) :].lstrip("/")
            if name and not any(part.startswith((".", "_")) for part in name.split("/")):
                files.append(StoredFile(name, int(facts.get("size") or 0), _stamp(facts)))
        return sorted(files, key=lambda file: file.name)

    def is_file(self) -> bool:
        """Whether the address itself is a file."""
        with self._told("cannot be looked at"):
            return bool(self._system.isfile(self._root))

    def exists(self, name: str = "") -> bool:
        with self._told("cannot be looked at", name):
            return bool(self._system.exists(self._path(name)))

    def is_empty(self) -> bool:
        """Whether nothing at all is there, hidden files aside."""
        with self._told("cannot be looked into"):
            if not self._system.exists(self._root):
                return True
            return all(PurePosixPath(path).name.startswith(".") for path in self._system.ls(self._root, detail=False))

    def read(self, name: str) -> bytes:
        """All of a file."""
        if self.folder is not None:
            with self._told("cannot be read", name):
                return (self.folder / name).read_bytes() if name else self.folder.read_bytes()
        with self._told("cannot be read", name):
            return bytes(self._system.cat_file(self._path(name)))

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """A file to be read in part."""
        with self._told("cannot be read", name), self._system.open(self._path(name), "rb") as file:
            yield file

    def write(self, name: str, content: bytes) -> None:
        """The whole of a file at once: under another name first on this machine, else as one object."""
        if self.folder is not None:
            write_atomically(self.folder / name, content)
            return
        with self._told("cannot be written", name):
            self._system.pipe_file(self._path(name), content)

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone is fine."""
        with self._told("cannot be deleted", name):
            try:
                self._system.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    @property
    def _root(self) -> str:
        return str(self._opened[1])

    @property
    def _system(self) -> Any:
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise KdslError(
                f"{self.address}: work over shards needs fsspec, which is not installed: {install_command('arrow')}"
            ) from error
        with self._told("cannot be reached"):
            # Listings are looked up anew: other machines write there too.
            address = str(Path(self.address).absolute()) if "://" not in self.address else self.address
            options = {} if self.folder is not None else {"use_listings_cache": False}
            system, root = url_to_fs(address, **options)
            return system, root

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
        except Exception as error:  # every store has errors of its own
            raise KdslError(f"{self.place(name)}: {what} ({first_line(error)})") from error

    def __getstate__(self) -> dict[str, str]:
        return {"address": self.address}


def _stamp(facts: dict[str, Any]) -> str:
    tag = facts.get("ETag") or facts.get("etag") or facts.get("md5Hash")
    time = facts.get("mtime") or facts.get("LastModified") or facts.get("updated") or facts.get("created") or ""
    return f"{facts.get('size')} {tag or time}"
