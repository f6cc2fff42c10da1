"""Fetching the images and sounds that a project's samples name by address."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kdsl.data.audio_folder import AudioFolder
from kdsl.data.fetching import FetchOutcome, fetch_files
from kdsl.data.image_folder import ImageFolder
from kdsl.data.media import Medium
from kdsl.data.media_folder import FETCHED
from kdsl.data.readers import iterate_samples
from kdsl.errors import KdslError
from kdsl.project.project import Project


@dataclass(frozen=True)
class Fetched:
    """What was fetched of one medium into the `folder`, and how many of its files were there before."""

    medium: Medium
    folder: Path
    outcome: FetchOutcome
    before: int


def fetch_project(project: Project, inputs: Sequence[Path], private: Sequence[str]) -> list[Fetched]:
    """Fetch the images and sounds of the project's training, test and unlabelled samples, and of those in `inputs`.

    `private` are hosts that may be asked although they are not public. What comes back is of each folder that is set.
    Raises KdslError where neither `data.images` nor `data.audio` is, and for samples that cannot be read.
    """
    data = project.config.data
    images = None if data.images is None else ImageFolder(data.images, fetching=True)
    audio = None if data.audio is None else AudioFolder(data.audio, fetching=True)
    folders = [folder for folder in (images, audio) if folder is not None]
    if not folders:
        raise KdslError(
            "data.images is not set, nor is data.audio; name the folder into which files are to be fetched"
        )
    reading = replace(project.reading(), images=images, audio=audio)
    for path in _files(project, inputs):
        for _ in iterate_samples(path, project.tasks, reading=reading):
            pass
    fetched = []
    for folder in folders:
        outcome = fetch_files(folder.unfetched, folder, private, project.progress)
        fetched.append(Fetched(folder.medium, folder.folder / FETCHED, outcome, len(folder.found)))
    return fetched


def _files(project: Project, inputs: Sequence[Path]) -> Iterator[Path]:
    data = project.config.data
    for path in (data.train, data.test, data.unlabelled):
        if path is not None and path.exists():
            yield path
    yield from inputs
