"""What is seen on the images of samples: each file read once, those that cannot be read counted."""

import logging
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kdsl.data.images import decoded, open_image, picture_path
from kdsl.errors import KdslError, first_line
from kdsl.fields.visual import PictureFeatures, picture_features
from kdsl.files import Stamp, stamp_of
from kdsl.progress import Progress, track

_log = logging.getLogger(__name__)


class Pictures:
    """Image name → what is seen on it. A file is looked at when it is first asked for, and again once it changed."""

    def __init__(self, folder: Path, progress: Progress | None = None) -> None:
        """`folder` holds the images."""
        self._folder = folder
        self._progress = progress
        self._known: dict[str, tuple[Stamp | None, PictureFeatures | None]] = {}
        self._problems: dict[str, str] = {}
        """Image → why nothing is seen on it, of those that nobody was told of."""
        self._originals: dict[str, str] = {}

    def get(self, image: str) -> PictureFeatures | None:
        """What is seen on the image of that name; None where it cannot be read, which `tell` counts."""
        image = self._original(image)
        try:
            path = picture_path(self._folder, image)
        except KdslError as error:
            self._problems.setdefault(image, str(error))
            return None
        stamp = stamp_of(path)
        known = self._known.get(image)
        if known is None or known[0] != stamp:
            self._known[image] = known = stamp, self._look_at(image, path)
        return known[1]

    def read(self, images: Iterable[str]) -> None:
        """Look at all of these images that are not known yet, several at once."""
        new = [image for image in dict.fromkeys(map(self._original, images)) if image not in self._known]
        if not new:
            return
        # Decoders release the interpreter lock, so threads are enough.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in track(pool.map(self.get, new), "Looking at images", len(new), self._progress):
                pass

    def renamed(self, originals: Mapping[str, str]) -> "Pictures":
        """The same with more names: what is seen on an image is seen on those whose original it is (name → original).

        For copies of images that were changed so little that what was seen on the original still holds.
        """
        other = Pictures(self._folder, self._progress)
        other._known, other._problems = self._known, self._problems
        other._originals = {**self._originals, **{name: self._original(image) for name, image in originals.items()}}
        return other

    def tell(self) -> None:
        """Log one counted warning, if there is anything to warn of, and forget it."""
        if self._problems:
            image, reason = next(iter(self._problems.items()))
            _log.warning(
                "%d images were taken as not there to be seen, the first being %s (%s)",
                len(self._problems), image, reason,
            )  # fmt: skip
            self._problems.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_progress": None}  # what shows progress belongs to this process

    def _original(self, image: str) -> str:
        return self._originals.get(image, image)

    def _look_at(self, image: str, path: Path) -> PictureFeatures | None:
        try:
            with open_image(path) as opened:
                features = picture_features(decoded(opened))
        except FileNotFoundError:
            self._problems[image] = "no such file"
        except Exception as error:  # decoders of broken files raise anything: OSError, SyntaxError, struct.error, …
            self._problems[image] = first_line(error)
        else:
            self._problems.pop(image, None)
            return features
        return None
