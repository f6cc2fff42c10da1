"""What results depend on, as values that change when it does."""

import json
from collections.abc import Iterable
from pathlib import Path

from kdsl.data.images import existing_image
from kdsl.files import file_hash
from kdsl.locks import is_lock
from kdsl.project.project import Project, Split


def image_stamps(project: Project, splits: Iterable[Split]) -> list[tuple[str, int, int]]:
    """Name, size and time of every image of the samples that is there."""
    folder = project.config.data.images
    if folder is None:
        return []
    names = {image for split in splits for sample in project.samples(split) for image in sample.images}
    known = []
    for name in sorted(names):
        path = existing_image(folder, name)
        if path is not None:
            status = path.stat()
            known.append((name, status.st_size, status.st_mtime_ns))
    return known


def contents(folders: Iterable[Path]) -> str:
    """Hash of the names and contents of all files below the folders, but for locks."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file() and not is_lock(path)]
    return json.dumps([str(path) for path in files]) + file_hash(*files)
