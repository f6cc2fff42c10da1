"""Folders that are one data set: what `datasets` saves to disk, and files in parts as the Hugging Face hub has."""

import logging
import re
from collections import defaultdict
from pathlib import Path

from kdsl.data.unpacking import SAMPLES_NAME
from kdsl.errors import KdslError
from kdsl.files import inside, parsing
from kdsl.json_file import read_json

_log = logging.getLogger(__name__)

_PART = re.compile(r"^(?P<split>.+?)-(?P<number>\d{5})-of-(?P<of>\d{5})(?P<ending>\..+)$")
_SPLIT = re.compile(
    r"(?:^|[/_.-])(train(?:ing)?|test(?:ing)?|valid(?:ation)?|val|dev(?:elopment)?|eval(?:uation)?)(?=[/_.-])",
    re.IGNORECASE,
)
_OTHERS = re.compile(r"^(dataset_infos?|dataset_dict|state|metadata|config|tokenizer.*|.*_config)\.json$|\.ya?ml$")
"""Names of files that describe a data set, and hold none of its samples."""
_DEEPEST = 3


def data_files(path: Path) -> list[Path]:
    """The files whose samples the folder `path` holds, in their order.

    Raises KdslError where there are none, and where there are several splits, which are named.
    """
    if (path / "dataset_dict.json").is_file():
        splits = _dataset_dict(path)
        return data_files(inside(path, splits[0]))
    if (path / "state.json").is_file():
        return _saved(path)
    splits_of = _by_split(path)
    if len(splits_of) > 1:
        names = ", ".join(f"{split!r} ({len(each)})" for split, each in splits_of.items())
        raise KdslError(
            f"{path}: holds files of the splits {names}; give one file, such as {next(iter(splits_of.values()))[0]}, "
            "or a folder with the files of one split"
        )
    if not splits_of:
        raise KdslError(f"{path}: is a folder, not a file, and no file of samples is in it; give the name of one")
    return next(iter(splits_of.values()))


def tell_of_other_parts(path: Path) -> None:
    """Warn where the file `path` is one of several parts of a data set, such as train-00000-of-00002.parquet."""
    part = _PART.match(path.name)
    if part is not None and int(part["of"]) > 1:
        _log.warning("%s: is one of %d parts, of which no other is read; give the folder", path, int(part["of"]))


def _dataset_dict(path: Path) -> list[str]:
    """The name of the only split of a DatasetDict."""
    file = path / "dataset_dict.json"
    with parsing(file, "names no splits"):
        splits = [str(name) for name in read_json(file)["splits"]]
    if len(splits) != 1:
        names = ", ".join(map(repr, splits))
        raise KdslError(f"{path}: holds the splits {names}; give the folder of one, such as {path / splits[0]}")
    return splits


def _saved(path: Path) -> list[Path]:
    """The Arrow files of a Dataset."""
    file = path / "state.json"
    with parsing(file, "names no data files"):
        return [inside(path, str(each["filename"])) for each in read_json(file)["_data_files"]]


def _by_split(path: Path) -> dict[str, list[Path]]:
    """The files of samples below a folder, by the split that their names tell, "" where they tell none."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if hidden or name.count("/") >= _DEEPEST or not SAMPLES_NAME.search(name) or _OTHERS.search(file.name):
            continue
        part, split = _PART.match(file.name), _SPLIT.search(name)
        found[part["split"] if part else split[1].lower() if split else ""].append(file)
    return dict(found)
