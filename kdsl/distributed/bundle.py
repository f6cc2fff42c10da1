"""What workers on other machines read of a project: its files as bytes, unpacked in a folder of their own there."""

import os
import tarfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from kdsl.config import ProjectConfig
from kdsl.distributed.storage import Storage
from kdsl.distributed.work import Job
from kdsl.errors import KdslError
from kdsl.hosts import contact, is_address
from kdsl.locks import is_lock
from kdsl.project.project import Project
from kdsl.vector_cache import VECTORS_FILE
from kdsl.vlm.picture_cache import PICTURES_FOLDER

_LEFT_OUT = (VECTORS_FILE, PICTURES_FOLDER, "evaluation", "cross-validation", "runs")
"""In a checkpoint: caches, and results that nothing is predicted with."""


@dataclass(frozen=True)
class Bundle:
    """A job with the files of its project. Picklable.

    Images and sounds are not among them: they are reached by their folders, which all machines must see at the same
    place, or lie in the shards. Servers that this user may contact are contacted from there, with the keys that the
    environment there has.
    """

    job: Job
    files: bytes
    """A tar archive: `tasks/N.yaml`, `rules/`, `checkpoint/` and `data/KEY`, which is a file or a folder."""

    @classmethod
    def of(cls, job: Job) -> "Bundle":
        """Reads all that `job` needs. Raises KdslError for a file that cannot be read."""
        config, packed = job.config, BytesIO()
        for address in filter(is_address, config.models.values()):
            contact(address, Project(config).consent)  # asked here, where somebody can answer
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for number, name in enumerate(config.tasks):
                if (path := _task_file(config, name)) is not None:
                    _add(archive, path, f"tasks/{number}{path.suffix}")
            _add_folder(archive, config.rules, "rules")
            _add_folder(archive, config.checkpoint, "checkpoint", _LEFT_OUT)
            for key in job.step.reads:
                path_of = config.data.paths.get(key)
                if path_of is not None and path_of.is_dir():
                    _add_folder(archive, path_of, f"data/{key}")
                elif path_of is not None and path_of.is_file():
                    _add(archive, path_of, f"data/{key}{path_of.suffix}")
            if config.recorded is not None and config.recorded.is_file():
                _add(archive, config.recorded, "recorded.jsonl")
        # Processes in a cluster work in other folders than this one.
        input, output = (Storage(each.whole_address) for each in (job.input, job.output))
        return cls(replace(job, input=input, output=output), packed.getvalue())

    def unpacked(self) -> "Unpacked":
        """The files in a temporary folder, which goes with what is returned."""
        folder = TemporaryDirectory(prefix="kdsl-")
        with tarfile.open(fileobj=BytesIO(self.files)) as archive:
            archive.extractall(folder.name, filter="data")
        return Unpacked(self.job, folder)


@dataclass(frozen=True)
class Unpacked:
    """A job whose project lies in a temporary folder."""

    original: Job
    folder: TemporaryDirectory[str]

    @cached_property
    def job(self) -> Job:
        """The same work, with the project's files where they were unpacked."""
        config, here = self.original.config, Path(self.folder.name)
        data = {
            key: found[0] if (found := sorted((here / "data").glob(f"{key}.*"))) else here / "data" / key
            for key, path in config.data.paths.items()
            if path is not None and key not in ("images", "audio")
        }
        tasks = [
            str(found[0]) if (found := sorted((here / "tasks").glob(f"{number}.*"))) else name
            for number, name in enumerate(config.tasks)
        ]
        update: dict[str, object] = {
            "tasks": tasks,
            "rules": here / "rules",
            "checkpoint": here / "checkpoint",
            "data": config.data.model_copy(update=data),
        }
        if (here / "recorded.jsonl").exists():
            update["large"] = f"recorded:{here / 'recorded.jsonl'}"
        return replace(self.original, config=config.moved(here, update))


def _task_file(config: ProjectConfig, name: str) -> Path | None:
    """The file of a task; None for one that comes with KDSL."""
    path = config.folder / name
    return path if path.is_file() else None


def _add_folder(archive: tarfile.TarFile, folder: Path, name: str, left_out: Collection[str] = ()) -> None:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and not is_lock(path) and inner.parts[0] not in left_out:
            _add(archive, path, f"{name}/{inner.as_posix()}")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KdslError(
            f"{path}: cannot be read ({error.strerror}), but workers need it; look at its rights"
        ) from error
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), int(os.stat(path).st_mtime)
    archive.addfile(entry, BytesIO(content))
