"""docs/reference_python.md: everything in `kdsl.__all__`, from signatures and docstrings."""

import inspect
from typing import Any

import kdsl

_OPENING = """\
# Python reference

Look up here what `import kdsl` offers: every class and function, its arguments, what it returns and which errors it
raises. [From Python](python.md) shows them at work.

This page is written by `scripts/reference`; change the docstrings instead.
"""


def python_page() -> str:
    return "\n".join([_OPENING, *(_entry(name, getattr(kdsl, name)) for name in kdsl.__all__)])


def _entry(name: str, value: Any) -> str:
    lines = [f"## kdsl.{name}", ""]
    if callable(value):
        lines += [_code(f"kdsl.{name}", value), ""]
    lines += [_text(value), ""]
    if inspect.isclass(value):
        for member_name, member in _members(value):
            lines += [f"### {name}.{member_name}", ""]
            if inspect.isroutine(_function(member)):
                lines += [_code(member_name, _function(member)), ""]
            lines += [_text(member), ""]
    return "\n".join(lines)


def _members(kind: type) -> list[tuple[str, Any]]:
    """Public methods and properties that have a docstring, in the order in which the class defines them."""
    return [
        (name, member)
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (inspect.isroutine(_function(member)) or isinstance(member, property))
        and inspect.getdoc(member)
    ]


def _function(member: Any) -> Any:
    return member.__func__ if isinstance(member, classmethod | staticmethod) else member


def _code(name: str, value: Any) -> str:
    return f"```python\n{name}{inspect.signature(value)}\n```"


def _text(value: Any) -> str:
    return inspect.getdoc(value) or ""
