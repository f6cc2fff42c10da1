"""One JSON object of a data file, and the sentences for what is wrong with it."""

import json
import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from kdsl.data.audio_folder import AudioFolder
from kdsl.data.image_folder import ImageFolder
from kdsl.data.notes import Notes
from kdsl.data.values import Value
from kdsl.errors import KdslError
from kdsl.sample import Role

_SURROGATE = re.compile("[\ud800-\udfff]")
_ROLES: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "用户": "user",
    "customer": "user",
    "buyer": "user",
    "顾客": "user",
    "买家": "user",
    "agent": "agent",
    "assistant": "agent",
    "gpt": "agent",
    "客服": "agent",
    "chatgpt": "agent",
    "model": "agent",
    "seller": "agent",
    "卖家": "agent",
    "商家": "agent",
    "client": "user",
    "visitor": "user",
    "访客": "user",
    "客户": "user",
    "会员": "user",
    "bot": "agent",
    "robot": "agent",
    "机器人": "agent",
    "staff": "agent",
    "support": "agent",
    "坐席": "agent",
    "店铺": "agent",
}
SYSTEM = ("system", "developer")
"""Who speaks where nobody does: prompts."""
TOOLS = ("function", "function_call", "function_response", "ipython", "observation", "tool", "tool_call", "tool_calls",
         "tool_response")  # fmt: skip
_WHOLE = 2**53
"""Up to here every whole number has a float of its own."""
SEVERAL_LABELS = "samples with several labels, taken as unlabelled (with `multi: true` in the task file all are read)"
_LABELS_SHOWN, _KEYS_SHOWN = 5, 8


class Folders(NamedTuple):
    """Where images and sounds lie; None where that is not known, so that all of them must be names of files."""

    images: ImageFolder | None = None
    audio: AudioFolder | None = None


NO_FOLDERS = Folders()


class Record(NamedTuple):
    """One object, its place in `file`, as words in `where` and in short as `number`."""

    value: dict[str, Any]
    number: str
    file: str
    where: str
    notes: Notes
    names: Mapping[str, str] = MappingProxyType({})
    """What the file calls labels → what the task calls them, where they differ."""
    folders: Folders = NO_FOLDERS

    @property
    def place(self) -> str:
        return f"{self.file}, {self.where}"

    def error(self, problem: str) -> KdslError:
        return KdslError(f"{self.place}: {problem}")

    def inner(self, value: dict[str, Any]) -> "Record":
        """An object within this one, which shares its id and place."""
        return self.with_value({**value, "id": self.value.get("id")})

    def with_value(self, value: dict[str, Any]) -> "Record":
        """The same record, written in another form."""
        return self._replace(value=value)

    def with_notes(self, notes: Notes) -> "Record":
        """The same record, noted elsewhere."""
        return self._replace(notes=notes)

    def identity(self) -> str:
        """The id; a record without one gets its number."""
        return self._id("id") or self.number

    def copy_of(self) -> str | None:
        """The id of the record that this one is a changed copy of, where it says so."""
        return self._id("copy_of")

    def _id(self, key: str) -> str | None:
        value = self.value.get(key)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer() and abs(value) <= _WHOLE:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self._name(key, value, "a text or a whole number")

    def label(self, key: str, known: Sequence[str]) -> str | None:
        """The label, None where it is missing or empty; a whole number only where one of the `known` is called so.

        A list of one label is that label; with several of them, noted, a sample counts as unlabelled.
        """
        value = labels_in(self.value.get(key), {*known, *self.names})
        if isinstance(value, list):
            if len(value) > 1:
                self.notes.note(SEVERAL_LABELS, self.where)
            value = value[0] if len(value) == 1 else None
        if value is None or value == "":
            return None
        return self._label(key, value, known, "a label's name in quotes, or empty")

    def labels(self, key: str, known: Sequence[str]) -> tuple[str, ...] | None:
        """The labels of a sample that may have several, in the order of `known`: () where none holds, and None where
        nobody has said which; one that stands without a list is the only one."""
        value = labels_in(self.value.get(key), {*known, *self.names})
        if value is None or value == "":
            return None
        given = value if isinstance(value, list) else [value]
        right = 'a list of labels\' names like ["a", "b"], [] where none holds'
        names = [self._label(key, each, known, right) for each in given]
        for name in names:
            if names.count(name) > 1:
                raise self.error(f"{key} names {name!r} twice; keep one of the two")
        order = {name: place for place, name in enumerate(known)}
        return tuple(sorted(names, key=lambda name: order.get(name, len(order))))

    def _label(self, key: str, value: Any, known: Sequence[str], right: str) -> str:
        if isinstance(value, str | int) and str(value) in self.names:
            return self.names[str(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            if known and str(value) not in known:
                names = ", ".join(map(repr, known[:_LABELS_SHOWN])) + (", …" if len(known) > _LABELS_SHOWN else "")
                raise self.error(
                    f"{key} is {value}, which is no label's name; labels are {names}; say in data.labels which it is"
                )
            return str(value)
        return self._name(key, value, right)

    def task(self) -> str | None:
        value = self.value.get("task")
        return None if value is None else self._name("task", value, "a task's name in quotes")

    def text(self, key: str, value: Any) -> str:
        """`value` as text; halves of surrogate pairs, which no file can hold, become U+FFFD and are counted."""
        if not isinstance(value, str):
            raise self.error(f"{key} is {shown(value)}; it must be text in quotes")
        if not _SURROGATE.search(value):
            return value
        self.notes.note("texts with half a character, which was replaced", self.where)
        return _SURROGATE.sub("\ufffd", value)

    @staticmethod
    def known_role(value: Any) -> Role | None:
        """Whose turn it is by such a word; None where it tells nothing."""
        if not isinstance(value, str):
            return None
        return _ROLES.get(value) or _ROLES.get(value.strip().casefold())

    def role(self, value: Any) -> Role:
        found = self.known_role(value)
        if found is None:
            raise self.error(f"the role {shown(value)} is unknown; roles are {', '.join(_ROLES)}")
        return found

    def _name(self, key: str, value: Any, right: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key} is {shown(value)}; it must be {right}")
        if _SURROGATE.search(value) or "\x00" in value:
            raise self.error(f"{key} is {shown(value)}, which holds half a character; remove it")
        return value


def record_at(path: Path, found: Value, notes: Notes, names: Mapping[str, str], folders: Folders) -> Record:
    """The record of a value; KdslError when it is not an object, or a list of turns."""
    value = {"dialogue": found.value} if _is_turns(found.value) else found.value
    if not isinstance(value, dict):
        raise KdslError(
            f'{path}, {found.place}: {shown(found.value)} is not an object like {{"id": "1", "text": "…"}}'
        )
    return Record(value, found.number, str(path), found.place, notes, names, folders)


def _is_turns(value: Any) -> bool:
    """Whether it is a dialogue of FusionBrain: turns, each of them a list of {type, content}."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(turn, list) and all(isinstance(part, dict) and "type" in part for part in turn)
            for turn in value
        )
    )


def json_in(text: str) -> Any:
    """The value that a table's cell holds as JSON; None where it holds none, or one nested too deep."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def labels_in(value: Any, known: Set[str] = frozenset()) -> Any:
    """The list of labels that a table's cell holds as JSON, also as Label Studio writes it; anything else as it is.

    A label that is `known` by just these characters is one.

    >>> labels_in('["退款", "质量"]'), labels_in('{"choices": ["退款", "质量"]}'), labels_in("[广告]")
    (['退款', '质量'], ['退款', '质量'], '[广告]')
    """
    if not isinstance(value, str) or not value.startswith(("[", "{")) or value in known:
        return value
    held = json_in(value)
    if isinstance(held, dict):
        held = held.get("choices")
    return held if isinstance(held, list) else value


def key_names(value: dict[str, Any]) -> str:
    """The keys, for a sentence."""
    names = ", ".join(shown(key) for key in list(value)[:_KEYS_SHOWN])
    return (names or "none") + (", …" if len(value) > _KEYS_SHOWN else "")


def shown(value: Any) -> str:
    """A wrong value, short enough for a sentence."""
    text = "missing" if value is None else ascii(value) if _SURROGATE.search(str(value)) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
