"""What is known about the images and sounds of samples that a program has in memory, beside no project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsl.audio.transcribe import Transcriber
from kdsl.audio.transcript import read_transcripts
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.pages import PageFiller
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import Sidecars, read_ocr
from kdsl.fields.voices import TranscriptFiller
from kdsl.sample import Sample


@dataclass(frozen=True)
class GivenMedia:
    """Where images and sounds lie, and the files with what is known of them: as `RuleClassifier` has it."""

    images: Path | None
    ocr: Path | None
    audio: Path | None
    transcripts: Path | None
    speech: str

    def known(self, samples: Sequence[Sample], vectors: SentenceVectors | None, workers: int) -> Sidecars:
        """With the text on the images of `samples` and what is said in their sounds, which are read and transcribed
        where that is not known; one warning each counts what cannot be."""
        pictures = None if self.images is None else Pictures(self.images)
        sidecars = Sidecars(vectors=vectors, pictures=pictures)
        if self.ocr is not None:
            if self.ocr.exists():
                sidecars.ocr.update(read_ocr(self.ocr))
            pages = PageFiller(sidecars, self.images, self.ocr)
            pages.fill(samples)
            pages.tell()
        if self.transcripts is not None and self.transcripts.exists():
            sidecars.transcripts.update(read_transcripts(self.transcripts))
        sounds = TranscriptFiller(sidecars, self.audio, self.transcripts, Transcriber(self.speech, workers=workers))
        sounds.fill(samples)
        sounds.tell()
        return sidecars
