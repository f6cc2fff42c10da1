"""Fetching the images that a project's samples name by address."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kdsl.data.fetching import FetchOutcome, fetch_images
from kdsl.data.image_folder import FETCHED, ImageFolder
from kdsl.data.readers import iterate_samples
from kdsl.errors import KdslError
from kdsl.project.project import Project


@dataclass(frozen=True)
class FetchedImages:
    """What was fetched into the `folder`, and how many images were there before."""

    folder: Path
    outcome: FetchOutcome
    before: int


def fetch_project(project: Project, inputs: Sequence[Path], private: Sequence[str]) -> FetchedImages:
    """Fetch the images of the project's training, test and unlabelled samples, and of those in `inputs`.

    `private` are hosts that may be asked although they are not public. Raises KdslError where `data.images` is not
    set, and for samples that cannot be read.
    """
    folder = project.config.data.images
    if folder is None:
        raise KdslError("data.images is not set; name the folder into which images are to be fetched")
    images = ImageFolder(folder, fetching=True)
    reading = replace(project.reading(), images=images)
    for path in _files(project, inputs):
        for _ in iterate_samples(path, project.tasks, reading=reading):
            pass
    outcome = fetch_images(images.unfetched, images, private, project.progress)
    return FetchedImages(folder / FETCHED, outcome, len(images.found))


def _files(project: Project, inputs: Sequence[Path]) -> Iterator[Path]:
    data = project.config.data
    for path in (data.train, data.test, data.unlabelled):
        if path is not None and path.exists():
            yield path
    yield from inputs
