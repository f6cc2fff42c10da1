"""The text on the images of samples to predict: read where it can be, counted where it cannot."""

import logging
from collections.abc import Sequence
from pathlib import Path

from kdsl.data.images import existing_image
from kdsl.distribution import install_command
from kdsl.fields.ocr import fill_ocr, ocr_installed
from kdsl.fields.sidecar import Sidecars
from kdsl.progress import Progress
from kdsl.sample import Sample

_log = logging.getLogger(__name__)


class PageFiller:
    """Adds OCR pages of new images to `sidecars` and to the sidecar file; `tell` warns of images left without one."""

    def __init__(
        self, sidecars: Sidecars, folder: Path | None, sidecar: Path | None, progress: Progress | None = None
    ) -> None:
        """`folder` holds the images; without `sidecar` the project uses no text on images, and nothing is done."""
        self.sidecars = sidecars
        self._folder = folder
        self._sidecar = sidecar
        self._progress = progress
        self._can_read = ocr_installed()
        self._missing: dict[str, str] = {}
        """Image → why it has no page."""

    def fill(self, samples: Sequence[Sample]) -> None:
        """Read the text of all images of `samples` that have no page yet."""
        if self._sidecar is None:
            return
        images = dict.fromkeys(image for sample in samples for image in sample.images)
        new = [image for image in images if image not in self.sidecars.ocr and image not in self._missing]
        readable = []
        for image in new:
            if self._folder is None or existing_image(self._folder, image) is None:
                self._missing[image] = "no such file" if self._folder is not None else "data.images is not set"
            elif not self._can_read:
                self._missing[image] = f"its text was not read: {install_command('ocr')}"
            else:
                readable.append(image)
        if readable and self._folder is not None:
            known = self.sidecars.ocr
            outcome = fill_ocr(readable, self._folder, self._sidecar, progress=self._progress, known=known)
            self._missing |= outcome.problems

    def tell(self) -> None:
        """Log one counted warning, if there is anything to warn of."""
        if self._missing:
            image, reason = next(iter(self._missing.items()))
            _log.warning(
                "%d images were taken as without text, the first being %s (%s)", len(self._missing), image, reason
            )
