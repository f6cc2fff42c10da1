"""docs/configuration.md: every key of kdsl.yaml, from the fields of `ProjectConfig` and the docstrings below them."""

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kdsl.config import ProjectConfig
from kdsl.config_parts import ProjectPath
from reference_pages.docstrings import attribute_docstrings

_OPENING = """\
# kdsl.yaml

Look up here every key of a project's `kdsl.yaml`: what it means, what it takes, and its default. `kdsl init` writes a
file with the usual ones. An unknown key, or a value of the wrong kind, is an error with its line.

Paths are relative to the folder of `kdsl.yaml`. Every key can be changed for one run on the command line, where paths
are relative to the current folder: `kdsl mine seed=1 data.train=data/other.json`.

This page is written by `scripts/reference`; change the docstrings of `ProjectConfig` instead.
"""


def configuration_page() -> str:
    sections = _sections("The project", "Keys at the top of the file.", ProjectConfig, "")
    return "\n".join([_OPENING, *sections])


def _sections(title: str, text: str, model: type[BaseModel], prefix: str) -> Iterator[str]:
    """One for the keys of `model`, and one for each of its parts."""
    fields = model.model_fields
    plain = {name: field for name, field in fields.items() if not _is_part(field)}
    yield _section(title, text, model, plain, prefix)
    for name in (name for name in fields if name not in plain):
        part = fields[name].annotation
        yield from _sections(f"{prefix}{name}", inspect.getdoc(part) or "", part, f"{prefix}{name}.")


def _section(title: str, text: str, model: type[BaseModel], fields: dict[str, FieldInfo], prefix: str) -> str:
    meanings = attribute_docstrings(model)
    rows = [
        f"| `{prefix}{name}` | {_kind(field)} | {_default(field)} | {_cell(meanings.get(name, ''))} |"
        for name, field in fields.items()
    ]
    head = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", text, "", *head, *rows, ""])


def _is_part(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _kind(field: FieldInfo) -> str:
    kind, metadata = field.annotation, field.metadata
    if typing.get_origin(kind) in (types.UnionType, typing.Union):  # X | None: the default column shows the none
        kind = next(member for member in typing.get_args(kind) if member is not type(None))
    if typing.get_origin(kind) is dict:
        return "names by name"
    if typing.get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(kind))
    if kind == ProjectPath or "Path" in str(kind):
        return "path"
    if isinstance(kind, type) and issubclass(kind, BaseModel):  # a part that need not be there
        return " or ".join(f"`{{{name}: …}}`" for name in kind.model_fields)
    name = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text"}.get(kind, "list of names")
    limits = [_limit(item) for item in metadata]
    return " ".join([name, *filter(None, limits)])


def _limit(item: Any) -> str:
    signs = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    sign, attribute = signs.get(type(item), ("", ""))
    return f"{sign} {getattr(item, attribute)}" if sign else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
