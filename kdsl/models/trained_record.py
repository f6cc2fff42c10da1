"""The JSON files that tell what a classifier was trained with, read back."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kdsl.errors import KdslError
from kdsl.files import read_text

VERSION = 1


Record = TypeVar("Record", bound=BaseModel)


def read_record(kind: type[Record], path: Path) -> Record:
    """A record with a `version`; KdslError when the file is missing, damaged or of another version."""
    if not path.exists():
        raise KdslError(f"{path}: no such file; train first with: kdsl train")
    try:
        record = kind.model_validate_json(read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise KdslError(f"{path}: {place}: {first['msg']}; train again with: kdsl train") from error
    version = record.model_dump()["version"]
    if version != VERSION:
        raise KdslError(f"{path}: version {version}, this KDSL reads version {VERSION}; train again: kdsl train")
    return record
