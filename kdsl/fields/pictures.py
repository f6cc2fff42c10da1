"""What is seen on the images of samples: each file looked at once, those that cannot be read counted."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdsl.data.images import decoded, open_image, picture_path
from kdsl.errors import KdslError, first_line
from kdsl.fields.page_network import NETWORK_SIZE, page_network
from kdsl.fields.visual import MADE_BY, SIZE, PictureFeatures, picture_features
from kdsl.files import Stamp, file_digest, stamp_of
from kdsl.progress import Progress, track
from kdsl.vector_cache import VectorCache

if TYPE_CHECKING:
    from PIL.Image import Image

Half = NDArray[np.float16]
Look = Callable[["Image"], Half]

_log = logging.getLogger(__name__)

_CHUNK = 64
"""Images that are looked at, and then kept, at once; an interruption loses no more than these."""
_HELD = 8192
"""Images of which is known in memory what is seen on them, at most."""
_LONG = 256
"""From so many new images on it is worth saying how far the work is."""


def _any(vector: Half) -> bool:
    return True


class Pictures:
    """Image name → what is seen on it. A file is looked at when it is first asked for, and again once it changed."""

    def __init__(self, folder: Path, cache: VectorCache | None = None, progress: Progress | None = None) -> None:
        """`folder` holds the images; without a `cache` what is seen is kept in memory only."""
        self._folder = folder
        self._cache = VectorCache(None) if cache is None else cache
        self._progress = progress
        self._known: dict[str, tuple[Stamp | None, PictureFeatures | None]] = {}
        self._activations: dict[str, tuple[Stamp | None, Half | None]] = {}
        self._problems: dict[str, str] = {}
        """Image → why nothing is seen on it, of those that nobody was told of."""
        self._originals: dict[str, str] = {}

    def get(self, image: str) -> PictureFeatures | None:
        """What is seen on the image of that name; None where it cannot be read, which `tell` counts."""
        return self.read([image])[image]

    def read(self, images: Iterable[str]) -> dict[str, PictureFeatures | None]:
        """`get` for all of these images; those that are not known as they are now are looked at several at once."""
        images = list(images)
        self._read(images)
        found = {image: self._known[self._original(image)][1] for image in images}
        self._forget()
        return found

    def _forget(self) -> None:
        """Let go of what was looked at first, where it is too much."""
        for known in (self._known, self._activations):
            for image in list(islice(known, max(0, len(known) - _HELD))):
                del known[image]

    def _read(self, images: Iterable[str]) -> None:
        new: dict[str, tuple[Path, Stamp]] = {}
        for image in dict.fromkeys(map(self._original, images)):
            path, stamp, problem = self._file(image)
            if image in self._known and self._known[image][0] == stamp:
                continue
            if path is None or stamp is None:
                self._known[image] = stamp, None
                self._problems[image] = problem
            else:
                new[image] = path, stamp
        names = list(new)
        chunks = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
        progress = self._progress if len(names) >= _LONG else None
        for chunk in track(chunks, "Looking at images", len(chunks), progress):
            paths = [new[image][0] for image in chunk]
            found = self._look_at(paths, MADE_BY, SIZE, _features, PictureFeatures.is_possible)
            for image, seen in zip(chunk, found, strict=True):
                if isinstance(seen, str):
                    self._problems[image] = seen
                else:
                    self._problems.pop(image, None)
                features = None if isinstance(seen, str) else PictureFeatures.of_vector(seen)
                self._known[image] = new[image][1], features

    def activations(self, images: Sequence[str]) -> list[Half | None]:
        """What `kdsl.fields.page_network` computes of each; None where it cannot be read, or there is no network."""
        network = page_network()
        if network is None:
            return [None] * len(images)
        self._read(images)
        stamps = {image: self._known[image][0] for image in map(self._original, images) if self._known[image][1]}
        new = [image for image, stamp in stamps.items() if self._activations.get(image, (None,))[0] != stamp]
        chunks = [new[start : start + _CHUNK] for start in range(0, len(new), _CHUNK)]
        for chunk in track(chunks, "Looking at pages", len(chunks), self._progress if len(new) >= _LONG else None):
            paths = [picture_path(self._folder, image) for image in chunk]
            found = self._look_at(paths, network.identity, NETWORK_SIZE, network.vector)
            for image, seen in zip(chunk, found, strict=True):
                self._activations[image] = stamps[image], None if isinstance(seen, str) else seen
        originals = map(self._original, images)
        result = [self._activations[image][1] if image in stamps else None for image in originals]
        self._forget()
        return result

    def renamed(self, originals: Mapping[str, str]) -> "Pictures":
        """The same with more names: what is seen on an image is seen on those whose original it is (name → original).

        For copies of images that were changed so little that what was seen on the original still holds.
        """
        other = Pictures(self._folder, self._cache, self._progress)
        other._known, other._activations, other._problems = self._known, self._activations, self._problems
        other._originals = {**self._originals, **{name: self._original(image) for name, image in originals.items()}}
        return other

    def tell(self) -> None:
        """Log one counted warning, if there is anything to warn of, and forget it."""
        if self._problems:
            image, reason = next(iter(self._problems.items()))
            _log.warning(
                "%d images cannot be looked at and count as unseen, the first being %s (%s)",
                len(self._problems), image, reason,
            )  # fmt: skip
            self._problems.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_progress": None}  # what shows progress belongs to this process

    def _original(self, image: str) -> str:
        return self._originals.get(image, image)

    def _file(self, image: str) -> tuple[Path | None, Stamp | None, str]:
        """Where an image lies, its stamp, and why there is none where there is none."""
        try:
            path = picture_path(self._folder, image)
        except KdslError as error:
            return None, None, str(error)
        return path, stamp_of(path), "no such file"

    def _look_at(
        self, paths: list[Path], maker: str, size: int, look: Look, is_possible: Callable[[Half], bool] = _any
    ) -> list[Half | str]:
        """What `look` sees on each, a vector [size], or why nothing is seen; kept as what `maker` saw.

        What was kept but is not possible is looked at again.
        """
        # Decoders and networks release the interpreter lock, so threads are enough.
        with ThreadPoolExecutor(min(os.cpu_count() or 1, len(paths))) as pool:
            digests = list(pool.map(_digest, paths))
            read = [digest for digest in digests if isinstance(digest, bytes)]
            known = self._cache.get(maker, read, size)
            kept = {digest: vector for digest, vector in known.items() if is_possible(vector)}

            def seen(path: Path, digest: bytes | str) -> Half | str:
                if isinstance(digest, str):
                    return digest
                return kept[digest] if digest in kept else _looked(path, look)

            found = list(pool.map(seen, paths, digests))
        new = {
            digest: vector
            for digest, vector in zip(digests, found, strict=True)
            if isinstance(digest, bytes) and digest not in kept and not isinstance(vector, str)
        }
        self._cache.put(maker, new)
        return found


def _digest(path: Path) -> bytes | str:
    """The hash of the content, or why it cannot be read."""
    try:
        return file_digest(path)
    except KdslError as error:
        return str(error)


def _looked(path: Path, look: Look) -> Half | str:
    """What is seen, or why nothing is."""
    try:
        with open_image(path) as image:
            return look(decoded(image))
    except Exception as error:  # decoders of broken files raise anything: OSError, SyntaxError, struct.error, …
        return first_line(error)


def _features(image: "Image") -> Half:
    return picture_features(image).vector()
