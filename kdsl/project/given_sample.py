"""A text, images and sounds that a person gives directly, as samples of a project's tasks."""

from collections.abc import Container, Sequence
from pathlib import Path

from kdsl.audio.decoding import audio_facts
from kdsl.data.images import inspect_image
from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.sample import Sample, Task, Turn
from kdsl.text import writable

GIVEN_ID = "given"
"""The id of such a sample."""


def given_samples(
    project: Project, text: str | None, images: Sequence[Path], sounds: Sequence[Path], tasks: Sequence[Task]
) -> list[Sample]:
    """The text, images and sounds as one sample for each of `tasks`: what a user says, with the others in it.

    Raises KdslError for a text without words, for an image that is missing or cannot be looked at, and for a sound
    that is missing or, unless its transcript is known, cannot be decoded.
    """
    if text is not None and not text.strip():
        raise KdslError("--text is empty; give the words to classify")
    data = project.config.data
    shown = tuple(_name(data.images, _image(path)) for path in images)
    transcribed = project.sidecars().transcripts if sounds else {}
    heard = tuple(_sound(path, _name(data.audio, path), transcribed) for path in sounds)
    turns = () if text is None else (Turn("user", writable(text), shown, heard),)
    return [Sample(GIVEN_ID, task.name, turns, shown, audio=heard) for task in tasks]


def _image(path: Path) -> Path:
    facts = inspect_image(path)
    if facts.problem is not None:
        what = "no such file" if facts.problem == "missing" else f"cannot be looked at ({facts.detail})"
        raise KdslError(f"--image {path}: {what}; give an image file, such as a PNG or a JPEG")
    return path


def _sound(path: Path, name: str, transcribed: Container[str]) -> str:
    if name in transcribed and path.is_file():  # nobody has to listen, so nothing need be there that decodes sounds
        return name
    facts = audio_facts(path)
    if facts.problem in ("missing", "unreadable", "long"):
        raise KdslError(f"--audio {path}: {facts.detail}; give a sound, such as a WAV or an MP3")
    return name


def _name(folder: Path | None, path: Path) -> str:
    """What a sample calls the file: its name in the project's folder, else its absolute path."""
    found = path.resolve()
    if folder is not None and found.is_relative_to(folder.resolve()):
        return found.relative_to(folder.resolve()).as_posix()
    return str(found)
