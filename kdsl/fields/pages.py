"""The text on the images of samples to predict: read where it can be, counted where it cannot."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from kdsl.distribution import install_command
from kdsl.fields.ocr import PageReader, fill_ocr, ocr_installed
from kdsl.fields.sidecar import OcrPage, Sidecars
from kdsl.files import existing_file
from kdsl.progress import Progress
from kdsl.sample import Sample

_log = logging.getLogger(__name__)


class PageFiller:
    """Adds OCR pages of new images to `sidecars` and to the sidecar file; `tell` warns of images left without one.

    Images that go by their absolute path are read each time: next time the file may hold another picture.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        folder: Path | None,
        sidecar: Path | None,
        progress: Progress | None = None,
        reader: PageReader | None = None,
    ) -> None:
        """`folder` holds the images; without `sidecar` the project uses no text on images, and nothing is done.

        With a `reader` it reads, and what it reads is not written into the sidecar file; nor is anything where that is
        a folder of results.
        """
        self.sidecars = sidecars
        self._folder = folder
        self._sidecar = sidecar
        self._progress = progress
        self.reader = reader
        self._can_read = ocr_installed()
        self._missing: dict[str, str] = {}
        """Image → why it has no page."""

    def fill(self, samples: Sequence[Sample], stop: Event | None = None) -> None:
        """Read the text of all images of `samples` that have no page yet.

        With `stop` it works beside something else that shows how far it is, and reads no more once it is set.
        """
        if self._sidecar is None:
            return
        images = dict.fromkeys(image for sample in samples for image in sample.images)
        new = [image for image in images if image not in self.sidecars.ocr and image not in self._missing]
        readable: list[str] = []
        outside: list[str] = []
        only_read = os.path.isdir(self._sidecar)
        for image in new:
            if not _is_file(self._folder, image):
                self._missing[image] = "no such file" if self._folder is not None else "data.images is not set"
            elif not self._can_read:
                self._missing[image] = f"its text was not read: {install_command('ocr')}"
            else:
                (outside if only_read or os.path.isabs(image) else readable).append(image)
        if self.reader is not None:
            for image, page in self.reader.pages([*readable, *outside], self._folder or Path()):
                if isinstance(page, str):
                    self._missing[image] = page
                else:
                    self.sidecars.ocr[image] = page
            return
        if readable:
            self._read(readable, self._sidecar, self.sidecars.ocr, stop)
        if outside:
            with TemporaryDirectory(prefix="kdsl-") as folder:
                read: dict[str, OcrPage] = {}
                self._read(outside, Path(folder) / "ocr.jsonl", read, stop)
                self.sidecars.ocr.update(read)

    def close(self) -> None:
        """End the process that reads pictures as they come, if there is one."""
        if self.reader is not None:
            self.reader.close()

    def _read(self, images: Sequence[str], sidecar: Path, known: dict[str, OcrPage], stop: Event | None) -> None:
        folder, progress = self._folder or Path(), self._progress if stop is None else None
        self._missing |= fill_ocr(images, folder, sidecar, progress=progress, known=known, stop=stop).problems

    def tell(self) -> None:
        """Log one counted warning, if there is anything to warn of, and forget it: later the image may be there."""
        if self._missing:
            image, reason = next(iter(self._missing.items()))
            _log.warning(
                "%d images were taken as without text, the first being %s (%s)", len(self._missing), image, reason
            )
            self._missing.clear()


def _is_file(folder: Path | None, image: str) -> bool:
    if os.path.isabs(image):
        return os.path.isfile(image)
    return folder is not None and existing_file(folder, image) is not None
