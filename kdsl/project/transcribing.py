"""Writing down what is said in the sounds of a project."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.audio.load import require_speech
from kdsl.audio.transcribe import TranscribeOutcome, Transcriber, fill_transcripts
from kdsl.errors import KdslError
from kdsl.locks import claimed
from kdsl.project.inputs import sounds_without_transcript

if TYPE_CHECKING:
    from kdsl.project.project import Project


def transcribe_project(project: "Project", workers: int | None = None) -> TranscribeOutcome:
    """See `Project.transcribe`."""
    sidecar = project.config.data.transcripts
    if sidecar is None:
        raise KdslError("data.transcripts is not set; name the sidecar file to fill, such as data/transcripts.jsonl")
    folder = audio_folder(project)
    with claimed(files=[sidecar]):
        return _fill(project, folder, sidecar, workers)


def transcribe_step(project: "Project", workers: int) -> list[str]:
    """The step of `kdsl run`, which goes on without transcripts where they cannot be had; what it tells."""
    data, missing = project.config.data, sounds_without_transcript(project)
    if data.transcripts is None or missing is None:
        return ["data.transcripts is not set: left out"]
    if not missing:
        return ["the transcripts of all sounds are there"]
    if data.audio is None:
        return [f"data.audio is not set: {len(missing)} sounds are taken as without words"]
    try:
        require_speech(project.config.speech)
    except KdslError as error:
        return [f"{len(missing)} sounds are taken as without words: {error}"]
    outcome = _fill(project, audio_folder(project), data.transcripts, workers)
    failed = f", {len(outcome.problems)} cannot be: `kdsl transcribe` lists them" if outcome.problems else ""
    silent = f" ({outcome.silent} of them without words)" if outcome.silent else ""
    return [f"{outcome.transcribed} sounds transcribed{silent}{failed}"]


def audio_folder(project: "Project") -> Path:
    """The folder of the sounds; KdslError where the configuration names none that exists."""
    folder = project.config.data.audio
    if folder is None or not folder.is_dir():
        what = "is not set" if folder is None else f"{folder} is no folder"
        raise KdslError(f"data.audio {what}; name the folder that the file names of sounds are relative to")
    return folder


def _fill(project: "Project", folder: Path, sidecar: Path, workers: int | None) -> TranscribeOutcome:
    with Transcriber(project.config.speech, project.consent, workers or os.cpu_count() or 1) as transcriber:
        return fill_transcripts(project.audio(), folder, sidecar, transcriber, project.progress)
