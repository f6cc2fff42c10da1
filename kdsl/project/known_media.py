"""What is known about the images and sounds of a project: the sidecars that are there, and what they lack."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdsl.audio.decoding import audio_facts, voice_installed
from kdsl.audio.transcript import read_transcripts
from kdsl.data.audio_checks import Sounds
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
    heard = data.transcripts is not None and data.transcripts.exists()
    transcripts = kept.file(data.transcripts, read_transcripts) if heard and data.transcripts is not None else {}
    made_of = (ocr, captions, answers, project.vectors, project.pictures)
    left_out = project.config.fields.left_out
    return kept.made(
        ("sidecars", left_out), (*made_of, transcripts), lambda: Sidecars(*made_of, left_out, transcripts)
    )


def sounds_to_check(project: "Project") -> Sounds:
    """What `kdsl check` looks at the sounds with."""
    data = project.config.data
    transcribed = None if data.transcripts is None else project.sidecars().transcripts.keys()
    return Sounds(data.audio, audio_facts if voice_installed() else None, transcribed)


def warn_of_unread(project: "Project", known: Sidecars, samples: Sequence[Sample]) -> None:
    """Tell how many images of the samples have no text yet, and how many sounds no transcript, once."""
    data = project.config.data
    sounds = dict.fromkeys(audio for sample in samples for audio in sample.audio)
    unheard = [audio for audio in sounds if audio not in known.transcripts]
    if data.transcripts is None and sounds:
        _log.warning(
            "data.transcripts is not set, so %d sounds of the training samples count as without words; name the "
            "file, and %s",
            len(sounds), Hint.TRANSCRIBE,
        )  # fmt: skip
    elif unheard:
        _log.warning(
            "%s: %d of %d sounds of the training samples are not there and count as without words, the first being "
            "%s; %s",
            data.transcripts, len(unheard), len(sounds), unheard[0], Hint.TRANSCRIBE,
        )  # fmt: skip
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
