"""What is known about the images of a project: the sidecars that are there, and which images they lack."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdsl.errors import Hint
from kdsl.fields.sidecar import Sidecars, read_captions, read_ocr
from kdsl.fields.vqa import read_probabilities
from kdsl.sample import Sample

if TYPE_CHECKING:
    from kdsl.project.project import Project

_log = logging.getLogger(__name__)


def read_sidecars(project: "Project") -> Sidecars:
    """See `Project.sidecars`."""
    data, kept = project.config.data, project.kept
    ocr = {} if data.ocr is None or not data.ocr.exists() else kept.file(data.ocr, read_ocr)
    captions = {} if data.captions is None or not data.captions.exists() else kept.file(data.captions, read_captions)
    asked = data.questions is not None and data.questions.exists()
    answers = kept.file(data.questions, read_probabilities) if asked and data.questions is not None else {}
    made_of = (ocr, captions, answers, project.vectors, project.pictures)
    left_out = project.config.fields.left_out
    return kept.made(("sidecars", left_out), made_of, lambda: Sidecars(*made_of, left_out))


def warn_of_unread(project: "Project", known: Sidecars, samples: Sequence[Sample]) -> None:
    """Tell how many images of the samples have no text yet, once."""
    data = project.config.data
    images = dict.fromkeys(image for sample in samples for image in sample.images)
    missing = [image for image in images if image not in known.ocr]
    if data.ocr is not None and missing:
        _log.warning(
            "%s: %d of %d images of the training samples are not there and count as without text, the first being "
            "%s; %s",
            data.ocr, len(missing), len(images), missing[0], Hint.OCR,
        )  # fmt: skip
    if data.ocr is None and images and project.config.prompt.ocr:
        _log.warning("prompt.ocr: data.ocr is not set, so no text is known; name the file, and %s", Hint.OCR)
