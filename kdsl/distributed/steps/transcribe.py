"""What is said in the sounds of samples, as the sidecar `data.transcripts` has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.audio.load import require_speech
from kdsl.audio.transcribe import Transcriber
from kdsl.audio.transcript import transcript_record
from kdsl.distributed.schemas import transcript_schema
from kdsl.distributed.steps.media import MediaWorker, Named
from kdsl.project.project import Project
from kdsl.project.transcribing import audio_folder

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Transcribe:
    """The step behind `kdsl transcribe` over shards: a recogniser a process, on its own GPU where there is one."""

    gpus: float = 0.0
    batch: int = 64
    needs: tuple[str, ...] = ("voice",)
    reads: tuple[str, ...] = ()
    name: str = "transcribe"

    def state(self, project: Project) -> str:
        """The recogniser's name. KdslError where it is not installed, and without a folder of sounds."""
        require_speech(project.config.speech)
        return f"{audio_folder(project)} {project.config.speech}"

    def schema(self, project: Project) -> "pyarrow.Schema":
        return transcript_schema()

    def open(self, project: Project) -> MediaWorker:
        transcriber, folder = Transcriber(project.config.speech, project.consent), audio_folder(project)

        def look(named: Sequence[Named]) -> Iterator[tuple[Named, dict[str, Any] | str]]:
            found = transcriber.transcribed([sound for _, sound in named], folder)
            for each, done in zip(named, found, strict=True):
                yield each, done.problem if done.transcript is None else transcript_record(done.transcript)

        return MediaWorker(lambda sample: sample.audio, look, transcriber.close)
