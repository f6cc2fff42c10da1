"""What KDSL itself wrote as JSON, read back into the types it was made of: anything else is one sentence."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kdsl.errors import Hint, KdslError
from kdsl.files import is_there, parsing
from kdsl.json_file import read_json

Record = TypeVar("Record")
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]
"""Of samples or the like: a number that is a float, too."""


class RecordModel(BaseModel):
    """What a file that KDSL writes is made of: no unknown keys, no NaN, never changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Trained = TypeVar("Trained", bound=RecordModel)


def read_record(kind: type[Record], path: Path, remedy: Hint | str) -> Record:
    """The JSON file as a `kind`, a pydantic model or a dataclass.

    Raises KdslError, which ends with `remedy`, when it is missing or damaged, or holds something else.
    """
    return as_record(kind, read_json(path, remedy), path, remedy)


def read_trained(kind: type[Trained], path: Path) -> Trained:
    """What `kdsl train` left: a model with a `version`, whose default is the one that is read here.

    Raises KdslError when the file is missing or damaged, holds something else, or is of another version.
    """
    if not is_there(path):
        raise KdslError(f"{path}: no such file", Hint.TRAIN)
    value = read_json(path, Hint.TRAIN_AGAIN)
    version = kind.model_fields["version"].default
    if isinstance(value, dict) and value.get("version", version) != version:
        raise KdslError(f"{path}: version {value['version']!r}, this KDSL reads version {version}", Hint.TRAIN_AGAIN)
    return as_record(kind, value, path, Hint.TRAIN_AGAIN)


def as_record(kind: type[Record], value: Any, place: object, remedy: Hint | str) -> Record:
    """A JSON value that stands at `place`, as a `kind`; KdslError where it is something else."""
    with parsing(place, "no text that a file can hold", remedy):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a character ends whatever it is used for
    try:
        return _adapter(kind).validate_python(value)  # type: ignore[arg-type]  # a class can be hashed
    except ValidationError as error:
        first = error.errors()[0]
        part = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise KdslError(f"{place}: {part and part + ': '}{said}", remedy) from error


_adapter = cache(TypeAdapter)
