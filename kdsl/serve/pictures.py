"""Pictures that come with requests: files in a folder of the service's own, until there are too many."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kdsl.data.image_folder import ImageFolder, picture_suffix
from kdsl.data.images import existing_image, inspect_image
from kdsl.data.media_folder import EMBEDDED, NoMedium
from kdsl.errors import KdslError
from kdsl.files import Stamp, stamp_of
from kdsl.sample import Sample

MOST_BYTES = 256 << 20
"""Of pictures that are kept, for feedback on decisions that were made a while ago."""

MOST_SEEN = 100_000
"""Files of pictures of which is known that they can be looked at."""


def refused(error: NoMedium) -> KdslError:
    """What is told of bytes that are no picture."""
    return KdslError(f"a picture cannot be looked at, as such that {error} are not taken")


class Uploads:
    """The files of pictures that came with requests, by their content. Safe for threads."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._in_use: Counter[str] = Counter()
        self._mutex = threading.Lock()

    def keep(self, picture: bytes) -> str:
        """The path of the picture's file, which is in use until `released`; NoMedium for what is none."""
        path = str(self._folder / f"{sha256(picture).hexdigest()[:32]}.{picture_suffix(picture)}")
        with self._mutex:
            if path not in self._sizes:
                Path(path).write_bytes(picture)
                self._sizes[path] = len(picture)
            self._sizes.move_to_end(path)
            self._in_use[path] += 1
        return path

    def content(self, name: str) -> bytes | None:
        """The picture in the file of that name; None where it was deleted since."""
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


class RequestImages(ImageFolder):
    """What the samples of one request call their images: names below `data.images`, or the pictures themselves."""

    def __init__(self, folder: Path | None, uploads: Uploads, named: Mapping[bytes, str]) -> None:
        """`named` are pictures of which the request tells the name."""
        super().__init__(folder or Path(), looking=True)
        self.without_folder = folder is None
        self._uploads = uploads
        self._named = named
        self.kept: dict[str, str] = {}
        """Path of a picture's file → what the request calls it."""

    def name_of(self, given: str) -> str | None:
        return None  # a name below the folder is the only one that a request may use

    def keep(self, picture: bytes) -> str:
        try:
            path = self._uploads.keep(picture)
        except NoMedium as error:
            raise refused(error) from error
        if path in self.kept:
            self._uploads.release([path])
        self.kept.setdefault(path, self._named.get(picture) or f"picture {len(self.kept) + 1}")
        return path

    def fetched(self, address: str) -> str | None:
        raise KdslError(f"{address[:80]!r} is an address, and the service fetches nothing; send the picture itself")

    def paths(self, samples: Iterable[Sample]) -> list[Path]:
        """The file of each image of the samples; KdslError for one that is not there."""
        return [self._path(name) for name in dict.fromkeys(name for sample in samples for name in sample.images)]

    def _path(self, name: str) -> Path:
        if name in self.kept:
            return Path(name)
        path = None if self.without_folder else existing_image(self.folder, name)
        if path is None:
            where = "data.images is not set" if self.without_folder else "it is not below data.images"
            raise KdslError(f"the image {name!r} cannot be found: {where}; send the picture itself")
        return path

    def require_usable(self, paths: Iterable[Path]) -> None:
        """Raise KdslError for an image that is too large or broken; takes as long as decoding them."""
        for path in paths:
            facts = inspect_image(path)
            if facts.problem is not None:
                shown = self.kept.get(str(path)) or path.relative_to(self.folder.resolve()).as_posix()
                raise KdslError(f"the image {shown!r} cannot be looked at: {facts.detail or facts.problem}")

    def release(self) -> None:
        self._uploads.release(self.kept)


class SeenPictures:
    """Files of pictures that were looked at, as they were then, so that it is done once. One thread adds to them."""

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


@contextmanager
def released(images: RequestImages) -> Iterator[None]:
    """Lets go of the pictures in the end."""
    try:
        yield
    finally:
        images.release()


def without_paths(sample: Sample, kept: Mapping[str, str]) -> Sample:
    """The sample with pictures that came along called what they are called once feedback keeps them.

    That is by their content: nobody learns where they lie here, and the same sample has the same fingerprint.
    """
    if not kept or not any(image in kept for image in sample.images):
        return sample

    def renamed(images: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{EMBEDDED}/{Path(image).name}" if image in kept else image for image in images)

    turns = tuple(replace(turn, images=renamed(turn.images)) for turn in sample.turns)
    return replace(sample, turns=turns, images=renamed(sample.images))


def as_called(record: dict[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    """A prediction record with the pictures in its evidence called what the request calls them; changed in place."""
    if kept:
        for found in _evidence(record):
            if found.get("image") in kept:
                found["image"] = kept[found["image"]]
    return record


def _evidence(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for rule in record["rules"]:
        yield from rule["evidence"]
