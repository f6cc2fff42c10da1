"""A new project for a file that people have: what its columns are, which labels it holds, where its images and sounds
lie."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kdsl.data.audio_folder import AudioFolder
from kdsl.data.columns import Columns
from kdsl.data.forms import Reading
from kdsl.data.image_folder import ImageFolder
from kdsl.data.media import AUDIO, IMAGES
from kdsl.data.media_folder import CACHE
from kdsl.data.notes import Notes
from kdsl.data.readers import open_records
from kdsl.data.record import SEVERAL_LABELS
from kdsl.errors import KdslError
from kdsl.files import existing_file
from kdsl.project.create import DataEntries, create_project
from kdsl.sample import Label, Sample, Task
from kdsl.yaml_file import yaml_string

PREVIEWED = 3
"""Samples that are shown before anything is written."""
_LOOKED_AT = 50
"""Images that tell where the others lie."""
_MOST_LABELS = 1000
_SEVERAL = 0.1
"""Share of the labelled samples that have several labels from which their task is one of several; else it is told how
many have, who may be mistakes."""
_NO_NAME = re.compile(r"[^\w]+")


@dataclass
class Look:
    """What a file holds, by the columns that were proposed or said."""

    path: Path
    columns: Columns
    form: str = ""
    first: list[Sample] = field(default_factory=list)
    """The first samples, `PREVIEWED` at most."""
    samples: int = 0
    unlabelled: int = 0
    multi: bool = False
    """Whether samples have several labels."""
    labels: Counter[str] = field(default_factory=Counter)
    """How many samples have each."""
    names: set[str] = field(default_factory=set)
    """What the samples call their tasks."""
    notes: Notes = field(default_factory=Notes)
    images: list[str] = field(default_factory=list)
    """Names of the first images."""
    audio: list[str] = field(default_factory=list)
    """Names of the first sounds."""

    @property
    def numbered(self) -> bool:
        """Whether the labels are numbers, which say nothing to people."""
        return bool(self.labels) and all(label.isdecimal() for label in self.labels)


def look_at(path: Path, columns: Columns) -> Look:
    """What `path` holds where `columns` are said; what they leave open is proposed.

    Raises KdslError for a file that cannot be read, and for a column that no record has.
    """
    look = _look_at(path, columns, ())
    several = look.notes.left_out.get(SEVERAL_LABELS)
    labelled = look.samples - look.unlabelled
    if several is None or several.count < _SEVERAL * (labelled + several.count) or len(look.names) > 1:
        return look
    return _look_at(path, columns, [Task(name, (), multi=True) for name in look.names])


def _look_at(path: Path, columns: Columns, tasks: Sequence[Task]) -> Look:
    notes, multi = Notes(), any(task.multi for task in tasks)
    reader, records = open_records(path, tasks, notes, reading=_looking(path, columns))
    found, seen = Look(path, columns, notes=notes, multi=multi), set[str]()
    for record in records:
        sample = reader.read(record)
        if not found.form or not seen >= {*columns.names}:
            described = reader.describe(record)
            if not found.form:
                found.form, found.columns = described.form, described.columns
            seen.update(described.names)
        if sample is None:
            continue
        found.samples += 1
        if len(found.first) < PREVIEWED:
            found.first.append(sample)
        found.names.add(sample.task)
        found.unlabelled += sample.given_labels is None
        found.labels.update(sample.given_labels or ())
        for names, more in ((found.images, sample.images), (found.audio, sample.audio)):
            if len(names) < _LOOKED_AT:  # those in the data itself lie nowhere yet
                names.extend(name for name in more if not name.startswith(CACHE))
        if len(found.labels) > _MOST_LABELS:
            raise KdslError(
                f"{path}: {found.columns.label!r} has over {_MOST_LABELS} different values, so it is no label; name "
                "the column of the labels with --label"
            )
    missing = [name for name in columns.names if name not in seen]
    if missing:
        raise KdslError(
            f"{path}: there is no column {missing[0]!r}; there is {', '.join(map(repr, sorted(seen)[:20]))}"
        )
    return found


def _looking(path: Path, columns: Columns) -> Reading:
    """With images and sounds beside the file, where nothing is written."""
    folder = path if path.is_dir() else path.parent
    images, audio = ImageFolder(folder, looking=True), AudioFolder(folder, looking=True)
    return Reading(columns, images=images, audio=audio)


def create_from(folder: Path, look: Look, tasks: Sequence[str] | None = None, name: str | None = None) -> Path:
    """Make a project in `folder` for the file that `look` is of, and return its kdsl.yaml.

    Without `tasks` it gets one, called `name` or as the file, of the labels found. Raises KdslError, before anything
    is written, where there are fewer than two labels, and as `create_project` does.
    """
    if tasks is None and len(look.labels) < 2:
        what = f"only the label {next(iter(look.labels))!r}" if look.labels else "no labels"
        raise KdslError(
            f"{look.path}: {what} found; name the column of the labels with --label, or a task with --task"
        )
    counts = dict(look.labels.most_common())
    own = Task(name or _task_name(look.path), tuple(Label(label) for label in counts), multi=look.multi)
    return create_project(folder, tasks or [own], _entries(folder, look), counts)


def image_folder(look: Look) -> Path | None:
    """The folder that the file's image names are relative to; None where most images are not found."""
    return _folder(look.path, look.images, ["images"])


def audio_folder(look: Look) -> Path | None:
    """The same of sounds."""
    return _folder(look.path, look.audio, ["audio", "audios"])


def _folder(path: Path, names: Sequence[str], called: Sequence[str]) -> Path | None:
    home = path.parent
    beside = [home / each for each in called] + [home / f"{path.stem}_{each}" for each in called]
    for folder in (home, *beside, *(home.parent / each for each in called), home.parent):
        there = sum(existing_file(folder, name) is not None for name in names)
        if names and 2 * there > len(names):
            return folder
    return None


def _task_name(path: Path) -> str:
    stem = path.name.partition(".")[0]
    return _NO_NAME.sub("-", stem).strip("-_") or "samples"


def _entries(folder: Path, look: Look) -> DataEntries:
    lines = [f"  train: {_path(look.path, folder)}\n"]
    said = _said(look.columns)
    if said:
        lines.append(f"  columns: {{{said}}}\n")
    images, audio = image_folder(look), audio_folder(look)
    given = DataEntries("".join(lines))
    if images is not None:
        given = replace(given, images=f"  images: {_path(images, folder)}\n")
    if audio is not None:
        heard = f"  audio: {_path(audio, folder)}\n  transcripts: data/transcripts.jsonl\n"
        given = replace(given, audio=heard)
    return given


def _said(columns: Columns) -> str:
    """As YAML, what is not called as KDSL calls it itself."""
    own: dict[str, tuple[tuple[str, ...], ...]] = {
        "text": (("text",),),
        "images": (IMAGES.keys, *((key,) for key in IMAGES.keys)),
        "audio": (AUDIO.keys, *((key,) for key in AUDIO.keys)),
    }
    values: dict[str, Any] = {
        "text": columns.text,
        "turns": columns.turns,
        "images": columns.images,
        "audio": columns.audio,
        "label": columns.label,
        "id": columns.id,
    }
    parts = []
    for key, value in values.items():
        if not value or value == key or value in own.get(key, ()):
            continue
        names = [value] if isinstance(value, str) else list(value)
        quoted = ", ".join(map(yaml_string, names))
        parts.append(f"{key}: {quoted if len(names) == 1 else f'[{quoted}]'}")
    return ", ".join(parts)


def _path(path: Path, folder: Path) -> str:
    """As seen from the folder of kdsl.yaml; the whole path where the file lies elsewhere."""
    whole, home = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    shown = whole.relative_to(home).as_posix() if whole.is_relative_to(home) else str(whole)
    return yaml_string(shown)
