"""Pictures and sounds that come with requests: files in a folder of the service's own, until there are too many."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kdsl.config_parts import DataConfig
from kdsl.data.audio_folder import AudioFolder
from kdsl.data.image_folder import ImageFolder
from kdsl.data.images import inspect_image
from kdsl.data.media import Medium
from kdsl.data.media_folder import EMBEDDED, MediaFolder, NoMedium
from kdsl.data.record import Folders
from kdsl.errors import KdslError
from kdsl.files import Stamp, existing_file, stamp_of
from kdsl.sample import Sample

MOST_BYTES = 256 << 20
"""Of pictures and sounds that are kept, for feedback on decisions that were made a while ago."""
MOST_SEEN = 100_000
"""Files of which is known that they can be looked at, or how long they are."""


def refused(error: NoMedium, medium: Medium) -> KdslError:
    """What is told of bytes that are no picture or sound."""
    return KdslError(f"{medium.themselves} that {error} are not taken")


class Uploads:
    """The files of pictures and sounds that came with requests, by their content. Safe for threads."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._in_use: Counter[str] = Counter()
        self._mutex = threading.Lock()

    def keep(self, content: bytes, suffix: str) -> str:
        """The path of its file, whose name ends with `suffix`, and which is in use until `released`."""
        path = str(self._folder / f"{sha256(content).hexdigest()[:32]}.{suffix}")
        with self._mutex:
            if path not in self._sizes:
                Path(path).write_bytes(content)
                self._sizes[path] = len(content)
            self._sizes.move_to_end(path)
            self._in_use[path] += 1
        return path

    def content(self, name: str) -> bytes | None:
        """What is in the file of that name; None where it was deleted since."""
        with self._mutex:
            return (self._folder / name).read_bytes() if str(self._folder / name) in self._sizes else None

    def release(self, paths: Iterable[str]) -> None:
        """Let go of files: the longest unused ones are deleted once there are too many."""
        with self._mutex:
            self._in_use.subtract(list(paths))  # of a mapping it would take the values as counts
            self._in_use += Counter()  # without what is at 0
            total = sum(self._sizes.values())
            for path in list(self._sizes):
                if total <= self._most_bytes:
                    break
                if path not in self._in_use:
                    total -= self._sizes.pop(path)
                    Path(path).unlink(missing_ok=True)


class _OfRequest(MediaFolder):
    """What the samples of one request call their files: names below the folder, or the files themselves."""

    def __init__(self, folder: Path | None, uploads: Uploads, named: Mapping[bytes, str]) -> None:
        """`named` are files of which the request tells the name."""
        super().__init__(folder or Path(), looking=True)
        self.without_folder = folder is None
        self._uploads = uploads
        self._named = named
        self.kept: dict[str, str] = {}
        """Path of a file → what the request calls it."""

    def name_of(self, given: str) -> str | None:
        return None  # a name below the folder is the only one that a request may use

    def keep(self, content: bytes) -> str:
        try:
            path = self._uploads.keep(content, self.suffix(content))
        except NoMedium as error:
            raise refused(error, self.medium) from error
        if path in self.kept:
            self._uploads.release([path])
        word = self.medium.itself.removeprefix("a ")
        self.kept.setdefault(path, self._named.get(content) or f"{word} {len(self.kept) + 1}")
        return path

    def fetched(self, address: str) -> str | None:
        raise KdslError(f"{address[:80]!r} is an address, and the service fetches nothing; send {self._itself} itself")

    def path(self, name: str) -> Path:
        """The file of an image or sound; KdslError for one that is not there."""
        if name in self.kept:
            return Path(name)
        path = None if self.without_folder else existing_file(self.folder, name)
        if path is None:
            setting = self.medium.setting
            where = f"{setting} is not set" if self.without_folder else f"it is not below {setting}"
            one = self.medium.one.removeprefix("an ").removeprefix("a ")
            raise KdslError(f"the {one} {name!r} cannot be found: {where}; send {self._itself} itself")
        return path

    @property
    def _itself(self) -> str:
        return self.medium.itself.replace("a ", "the ", 1)

    def called(self, path: Path) -> str:
        """What the request calls a file."""
        return self.kept.get(str(path)) or path.relative_to(self.folder.resolve()).as_posix()


class RequestImages(_OfRequest, ImageFolder):
    """See `_OfRequest`."""


class RequestSounds(_OfRequest, AudioFolder):
    """See `_OfRequest`."""


@dataclass(frozen=True)
class RequestMedia:
    """The pictures and sounds of one request."""

    images: RequestImages
    sounds: RequestSounds
    _uploads: Uploads

    @classmethod
    def of(cls, data: DataConfig, uploads: Uploads, named: Mapping[bytes, str]) -> "RequestMedia":
        """`data` says where those of the project lie; `named` are files of which the request tells the name."""
        images = RequestImages(data.images, uploads, named)
        return cls(images, RequestSounds(data.audio, uploads, named), uploads)

    @property
    def folders(self) -> Folders:
        return Folders(self.images, self.sounds)

    @property
    def kept(self) -> dict[str, str]:
        """Path of a file → what the request calls it."""
        return self.images.kept | self.sounds.kept

    def release(self) -> None:
        """Let go of the files that came along."""
        self._uploads.release(self.kept)


@contextmanager
def released(media: RequestMedia) -> Iterator[None]:
    """Lets go of the files in the end."""
    try:
        yield
    finally:
        media.release()


class SeenFiles:
    """Files that were looked at, as they were then, so that it is done once. One thread adds to them."""

    def __init__(self, most: int = MOST_SEEN) -> None:
        self._most = most
        self._stamps: OrderedDict[Path, Stamp | None] = OrderedDict()

    def new(self, paths: Iterable[Path]) -> dict[Path, Stamp | None]:
        """Those that were not looked at yet as they are now, with their stamps."""
        found = {path: stamp_of(path) for path in paths}
        return {path: stamp for path, stamp in found.items() if stamp is None or self._stamps.get(path) != stamp}

    def add(self, stamps: Mapping[Path, Stamp | None]) -> None:
        """These were looked at; of too many, those that were longest ago are forgotten."""
        for path, stamp in stamps.items():
            self._stamps.pop(path, None)
            self._stamps[path] = stamp
        while len(self._stamps) > self._most:
            self._stamps.popitem(last=False)


def require_pictures(images: RequestImages, paths: Iterable[Path]) -> None:
    """Raise KdslError for an image that is too large or broken; takes as long as decoding them."""
    for path in paths:
        facts = inspect_image(path)
        if facts.problem is not None:
            raise KdslError(f"the image {images.called(path)!r} cannot be looked at: {facts.detail or facts.problem}")


def without_paths(sample: Sample, kept: Mapping[str, str]) -> Sample:
    """The sample with files that came along called what they are called once feedback keeps them.

    That is by their content: nobody learns where they lie here, and the same sample has the same fingerprint.
    """
    if not any(name in kept for name in (*sample.images, *sample.audio)):
        return sample

    def renamed(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{EMBEDDED}/{Path(name).name}" if name in kept else name for name in names)

    turns = tuple(replace(turn, images=renamed(turn.images), audio=renamed(turn.audio)) for turn in sample.turns)
    return replace(sample, turns=turns, images=renamed(sample.images), audio=renamed(sample.audio))


def as_called(record: dict[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    """A prediction record with the files in its evidence called what the request calls them; changed in place."""
    for rule in record["rules"] if kept else ():
        for found in rule["evidence"]:
            for medium in ("image", "audio"):
                if found.get(medium) in kept:
                    found[medium] = kept[found[medium]]
    return record
