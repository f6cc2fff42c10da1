"""Which keys of kdsl.yaml are read while something is done."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import BaseModel

from kdsl.config import ProjectConfig
from kdsl.project.dependencies import keys_of


def parts_of(part: type[BaseModel], before: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Every part of kdsl.yaml, with what stands before its keys."""
    yield part, before
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from parts_of(kind, f"{before}{name}.")


BEFORE = dict(parts_of(ProjectConfig))
KEYS = frozenset(keys_of(ProjectConfig))


@contextmanager
def keys_read() -> Iterator[set[str]]:
    """Notes the keys whose values any configuration is asked for, by attribute or by writing a part out.

    Whom a user allowed to be contacted, by naming a model on the command line, changes no result and is not noted.
    """
    noted: set[str] = set()
    plain = BaseModel.__getattribute__

    def noting(part: BaseModel, name: str) -> object:
        before = BEFORE.get(type(part))
        if name == "typed_models":
            known = set(noted)
            found = plain(part, name)
            noted.intersection_update(known)
            return found
        if before is not None:
            if f"{before}{name}" in KEYS:
                noted.add(f"{before}{name}")
            elif name in ("model_dump", "model_dump_json"):
                noted.update(key for key in KEYS if key.startswith(before))
        return plain(part, name)

    with pytest.MonkeyPatch.context() as patch:
        for part in BEFORE:
            patch.setattr(part, "__getattribute__", noting, raising=False)
        yield noted
