"""A text and images that a person gives directly, as samples of a project's tasks."""

from collections.abc import Sequence
from pathlib import Path

from kdsl.data.images import inspect_image
from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.sample import Sample, Task, Turn
from kdsl.text import writable

GIVEN_ID = "given"
"""The id of such a sample."""


def given_samples(project: Project, text: str | None, images: Sequence[Path], tasks: Sequence[Task]) -> list[Sample]:
    """The text and images as one sample for each of `tasks`: what a user says, with the images in it.

    Raises KdslError for a text without words, and for an image that is missing or cannot be looked at.
    """
    if text is not None and not text.strip():
        raise KdslError("--text is empty; give the words to classify")
    names = tuple(_name(project.config.data.images, path) for path in images)
    turns = () if text is None else (Turn("user", writable(text), names),)
    return [Sample(GIVEN_ID, task.name, turns, names) for task in tasks]


def _name(folder: Path | None, path: Path) -> str:
    """What a sample calls the image: its name in the project's folder, else its absolute path."""
    facts = inspect_image(path)
    if facts.problem is not None:
        what = "no such file" if facts.problem == "missing" else f"cannot be looked at ({facts.detail})"
        raise KdslError(f"--image {path}: {what}; give an image file, such as a PNG or a JPEG")
    found = path.resolve()
    if folder is not None and found.is_relative_to(folder.resolve()):
        return found.relative_to(folder.resolve()).as_posix()
    return str(found)
