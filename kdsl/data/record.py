"""One JSON object of a data file, and the sentences for what is wrong with it."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.sample import Role

IMAGE_PLACEHOLDER = "<image>"

_SURROGATE = re.compile("[\ud800-\udfff]")
_ROLES: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "用户": "user",
    "agent": "agent",
    "assistant": "agent",
    "gpt": "agent",
    "客服": "agent",
}


@dataclass
class Notes:
    """What a reader put right or left out, to be told once a file."""

    replaced_surrogates: int = 0
    other_tasks: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Record:
    """One object; `place` is `FILE, line N` or `FILE, element N`."""

    value: dict[str, Any]
    number: int
    place: str
    notes: Notes

    def error(self, problem: str) -> KdslError:
        return KdslError(f"{self.place}: {problem}")

    def identity(self) -> str:
        """The id; a record without one gets its number."""
        return self._id("id") or str(self.number)

    def copy_of(self) -> str | None:
        """The id of the record that this one is a changed copy of, where it says so."""
        return self._id("copy_of")

    def _id(self, key: str) -> str | None:
        value = self.value.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self._name(key, value, "a text or a whole number")

    def label(self, key: str) -> str | None:
        """The label, None where it is missing or empty."""
        value = self.value.get(key)
        if value is None or value == "":
            return None
        return self._name(key, value, "a label's name in quotes, or empty")

    def task(self) -> str | None:
        value = self.value.get("task")
        return None if value is None else self._name("task", value, "a task's name in quotes")

    def images(self, *keys: str) -> tuple[str, ...]:
        """The image file names under the first of `keys` that is there; one name may stand without a list."""
        key = next((key for key in keys if self.value.get(key) is not None), None)
        if key is None:
            return ()
        value = self.value[key]
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list):
            raise self.error(f'{key} is {shown(value)}; it must be a list of file names like ["a.jpg"]')
        return tuple(self._name(key, name, "a file name in quotes") for name in names)

    def text(self, key: str, value: Any) -> str:
        """`value` as text; halves of surrogate pairs, which no file can hold, become U+FFFD and are counted."""
        if not isinstance(value, str):
            raise self.error(f"{key} is {shown(value)}; it must be text in quotes")
        if not _SURROGATE.search(value):
            return value
        self.notes.replaced_surrogates += 1
        return _SURROGATE.sub("\ufffd", value)

    def role(self, value: Any) -> Role:
        if not isinstance(value, str) or value not in _ROLES:
            raise self.error(f"the role {shown(value)} is unknown; roles are {', '.join(_ROLES)}")
        return _ROLES[value]

    def _name(self, key: str, value: Any, right: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key} is {shown(value)}; it must be {right}")
        if _SURROGATE.search(value) or "\x00" in value:
            raise self.error(f"{key} is {shown(value)}, which holds half a character; remove it")
        return value


def record_at(path: Path, unit: str, number: int, value: Any, notes: Notes) -> Record:
    """The record at `unit` ("line" or "element") `number`; KdslError when it is not an object."""
    place = f"{path}, {unit} {number}"
    if not isinstance(value, dict):
        raise KdslError(f'{place}: {shown(value)} is not an object like {{"id": "1", "text": "…"}}')
    return Record(value, number, place, notes)


def shown(value: Any) -> str:
    """A wrong value, short enough for a sentence."""
    text = "missing" if value is None else ascii(value) if _SURROGATE.search(str(value)) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
