"""docs/reference_python.md: everything in `kdsl.__all__`, from signatures and docstrings."""

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import kdsl
from reference_pages.docstrings import attribute_docstrings

_OPENING = """\
# Python reference

Look up here what `import kdsl` offers: every class and function, its arguments, what it returns and which errors it
raises. [From Python](python.md) shows them at work.

This page is written by `scripts/reference`; change the docstrings instead.
"""
_WIDTH = 88
_MODULES = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])")
"""What stands before a name in an annotation: `kdsl.sample.` before `Task`."""
_ARRAY = re.compile(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]")
_SECTION = re.compile(r"^(\w+)\n-{3,}\n(.*?)(?=^\w+\n-{3,}\n|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(\w+) : (.*(?:\n +.*)*)", re.MULTILINE)
"""Sections of a docstring in numpydoc's form, and what they list."""
_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)


def python_page() -> str:
    return "\n".join([_OPENING, *(_entry(name, getattr(kdsl, name)) for name in kdsl.__all__)])


def _entry(name: str, value: Any) -> str:
    lines = [f"## kdsl.{name}", "", *_described(f"kdsl.{name}", value)]
    if inspect.isclass(value):
        if attributes := attribute_docstrings(value):
            rows = [f"| `{attribute}` | {' '.join(text.split())} |" for attribute, text in attributes.items()]
            lines += ["| attribute | meaning |", "|---|---|", *rows, ""]
        for member, what in _members(value):
            lines += [f"### {name}.{member}", "", *_described(member, what)]
    return "\n".join(lines)


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties with a docstring, in the order in which the class defines them."""
    for name, member in vars(kind).items():
        if name.startswith("_") or not inspect.getdoc(member):
            continue
        if isinstance(member, classmethod | staticmethod):
            yield name, member.__func__
        elif inspect.isfunction(member) or isinstance(member, property | cached_property):
            yield name, member


def _described(name: str, value: Any) -> list[str]:
    signature = []
    if inspect.isclass(value) or inspect.isfunction(value):
        signature = ["```python", _signature(name, value), "```", ""]
    return [*signature, _text(value), ""]


def _signature(name: str, value: Any) -> str:
    signature = inspect.signature(value)
    parts = [text for each in signature.parameters.values() if (text := _parameter(each))]
    kinds = [each.kind for each in signature.parameters.values() if each.name not in ("self", "cls")]
    for kind, mark, after in ((inspect.Parameter.POSITIONAL_ONLY, "/", 1), (inspect.Parameter.KEYWORD_ONLY, "*", 0)):
        if kind in kinds:
            place = len(kinds) - kinds[::-1].index(kind) if after else kinds.index(kind)
            parts.insert(place, mark)
            kinds.insert(place, kind)
    end = ")" if inspect.isclass(value) else f") -> {_annotation(signature.return_annotation)}"
    short = f"{name}({', '.join(parts)}{end}"
    return short if len(short) <= _WIDTH else "\n".join([f"{name}(", *(f"    {part}," for part in parts), end])


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.name in ("self", "cls"):
        return ""
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {repr(parameter.default).replace('PosixPath', 'Path')}"
    return text


def _annotation(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _ARRAY.sub(r"NDArray[\1]", _MODULES.sub("", text.replace("'", '"'))).replace('"', "'")


def _text(value: Any) -> str:
    """The docstring, its examples as code; nothing where a dataclass has none of its own."""
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value) and text.startswith(f"{value.__name__}("):
        return ""
    text = _EXAMPLE.sub(lambda block: f"```pycon\n{block[0]}\n```", text)
    return _SECTION.sub(lambda found: f"**{found[1]}**\n\n{_ENTRY.sub(_item, found[2])}", text)


def _item(entry: re.Match[str]) -> str:
    return f"- `{entry[1]}`: {' '.join(entry[2].split())}"
