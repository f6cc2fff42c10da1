"""The JSON files that tell what a classifier was trained with, read back."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from kdsl import record_file
from kdsl.errors import Hint, KdslError
from kdsl.files import is_there

VERSION = 1


Record = TypeVar("Record", bound=BaseModel)


def read_record(kind: type[Record], path: Path) -> Record:
    """A record with a `version`; KdslError when the file is missing, damaged or of another version."""
    if not is_there(path):
        raise KdslError(f"{path}: no such file", Hint.TRAIN)
    record = record_file.read_record(kind, path, Hint.TRAIN_AGAIN)
    version = record.model_dump()["version"]
    if version != VERSION:
        raise KdslError(f"{path}: version {version}, this KDSL reads version {VERSION}", Hint.TRAIN_AGAIN)
    return record
