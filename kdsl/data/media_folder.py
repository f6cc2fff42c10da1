"""The folders `data.images` and `data.audio`, for samples that name a file otherwise than by its name below them.

Labelling tools write absolute paths and their own addresses, web shops write addresses, and data sets hold pictures
and sounds themselves. Whatever it was, a sample is given the name of a file below the folder. What came another way
lies below `.kdsl` in it, by a hash: a cache, which may be deleted, and which reading the data makes again.
"""

import base64
import binascii
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, unquote_to_bytes, urlsplit

from kdsl.data.media import Medium
from kdsl.errors import KdslError
from kdsl.files import inside, write_atomically

CACHE = ".kdsl"
EMBEDDED, FETCHED = f"{CACHE}/embedded", f"{CACHE}/fetched"

_LABEL_STUDIO = re.compile(r"(?:https?://[^/?#]+)?/data/(?:upload/|local-files/?\?)", re.IGNORECASE)
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


class NoMedium(KdslError):
    """Bytes that cannot be taken for a picture or a sound; the message goes on after `pictures that`."""


class MediaFolder(ABC):
    """Names below the folder for what samples call their files; to be made anew for every reading of data."""

    medium: ClassVar[Medium]
    largest: ClassVar[int]
    """Bytes of one file."""
    accepted: ClassVar[str]
    """What a server is told that is wanted."""

    def __init__(self, folder: Path, fetching: bool = False, looking: bool = False) -> None:
        """`fetching` where addresses that are not in the cache yet are going to be: nobody need be told of them.

        `looking` where nothing is to be written: what stands in the data has names, but no files.
        """
        self.folder, self.fetching, self.looking = folder, fetching, looking
        self.found: set[str] = set()
        """Addresses of files that are in the cache."""
        self.unfetched: Counter[str] = Counter()
        """Addresses of files that are not in the cache yet, and how often they were asked for."""
        self._kept: dict[str, dict[str, str]] = {}
        self._by_base_name: dict[str, str | None] | None = None

    @staticmethod
    @abstractmethod
    def suffix(content: bytes) -> str:
        """The ending of the name of a file that holds `content`, by its head; NoMedium for what may not be kept."""

    def name_of(self, given: str) -> str | None:
        """The name of an absolute path or a `file:` address inside the folder, or of an upload of Label Studio.

        An upload that is not there is called by its base name, which is then told as missing. None for anything else.
        """
        if _LABEL_STUDIO.match(given):
            return self._uploaded(given)
        if given.lower().startswith("file:"):
            parts = urlsplit(given)
            given = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
        if not given.startswith("/") or ".." in given.split("/"):
            return None
        for folder in (os.path.abspath(self.folder), os.path.realpath(self.folder)):
            if given.startswith(folder.rstrip("/") + "/"):
                return given[len(folder.rstrip("/")) :].lstrip("/") or None
        return None

    def _uploaded(self, given: str) -> str | None:
        parts = urlsplit(given)
        local = parts.path.rstrip("/").endswith("local-files")
        path = parse_qs(parts.query).get("d", [""])[0] if local else unquote(parts.path)
        names = [name for name in path.split("/") if name not in ("", ".", "..")]
        if not names:
            return None
        for first in range(len(names)):
            name = "/".join(names[first:])
            if self._is_file(name):
                return name
        found = self._base_name(names[-1]) or self._base_name(_UPLOADED.sub("", names[-1], count=1))
        return found or (None if parts.netloc else names[-1])

    def _is_file(self, name: str) -> bool:
        try:
            return inside(self.folder, name).is_file()
        except (KdslError, OSError):
            return False

    def _base_name(self, base: str) -> str | None:
        """The only file of that name in the folder or in those within it; None where there is none, or several."""
        if self._by_base_name is None:
            self._by_base_name = {}
            for folder, folders, files in os.walk(self.folder):
                folders[:] = [each for each in folders if each != CACHE]
                for file in files:
                    name = os.path.relpath(os.path.join(folder, file), self.folder).replace(os.sep, "/")
                    self._by_base_name[file] = None if file in self._by_base_name else name
        return self._by_base_name.get(base)

    def keep(self, content: bytes) -> str:
        """The name of a picture or sound that stands in the data, written into the cache unless it is there.

        Raises NoMedium for what cannot be taken for one, and KdslError when the cache cannot be written.
        """
        key = sha256(content).hexdigest()[:32]
        return self._known(EMBEDDED).get(key) or self._write(EMBEDDED, key, content)

    def fetched(self, address: str) -> str | None:
        """The name of the file from an address that `kdsl fetch` has fetched; None, counted, for another one."""
        name = self._known(FETCHED).get(_key(address))
        if name is None:
            self.unfetched[address] += 1
        else:
            self.found.add(address)
        return name

    def keep_fetched(self, address: str, content: bytes) -> str:
        """`keep`, for what is at an address."""
        return self._write(FETCHED, _key(address), content)

    def _write(self, cache: str, key: str, content: bytes) -> str:
        name = f"{cache}/{key}.{self.suffix(content)}"
        if not self.looking:
            write_atomically(inside(self.folder, name), content)
        self._known(cache)[key] = name
        return name

    def _known(self, cache: str) -> dict[str, str]:
        """Key → name of what the cache holds."""
        if cache not in self._kept:
            folder = inside(self.folder, cache)
            files = os.listdir(folder) if folder.is_dir() else []
            self._kept[cache] = {
                file.partition(".")[0]: f"{cache}/{file}" for file in files if not file.startswith(".")
            }
        return self._kept[cache]


def bytes_of_url(url: str) -> bytes:
    """The bytes of a `data:` address (RFC 2397); NoMedium for what holds none."""
    head, comma, body = url.partition(",")
    if not comma:
        raise NoMedium("hold no data")
    return bytes_of_text(unquote(body)) if head.lower().rstrip().endswith(";base64") else unquote_to_bytes(body)


def bytes_of_text(text: str) -> bytes:
    """The bytes of base64, of both alphabets; NoMedium for another text."""
    plain = "".join(text.split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoMedium("are not in base64") from error


def _key(address: str) -> str:
    return sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:32]
