"""One JSON object of a data file, and the sentences for what is wrong with it."""

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kdsl.data.image_folder import ImageFolder, NoPicture, is_image, picture_of_image, picture_of_text, picture_of_url
from kdsl.data.image_names import (
    LEFT_OUT,
    NoImageFile,
    check_image_name,
    is_fetchable,
    is_picture_itself,
    with_slashes,
)
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
_IMAGE_NAMES = ("path", "image", "url", "image_url", "file_name")
"""Keys under which an object holds the name of an image's file."""
_PICTURE_ITSELF = ("bytes", "base64", "data", "source", "file_id", "file_data")
"""Keys under which it holds the picture: as bytes, in base64, or where a service keeps it."""
_WHOLE = 2**53
"""Up to here every whole number has a float of its own."""
SEVERAL_LABELS = "samples with several labels, taken as unlabelled (with `multi: true` in the task file all are read)"
_LABELS_SHOWN, _KEYS_SHOWN = 5, 8


@dataclass(frozen=True)
class Record:
    """One object, its place in `file`, as words in `where` and in short as `number`."""

    value: dict[str, Any]
    number: str
    file: str
    where: str
    notes: Notes
    names: Mapping[str, str] = field(default_factory=dict)
    """What the file calls labels → what the task calls them, where they differ."""
    folder: ImageFolder | None = None
    """Where images lie; None where that is not known, so that all of them must be names of files."""

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
        return replace(self, value=value)

    def with_notes(self, notes: Notes) -> "Record":
        """The same record, noted elsewhere."""
        return replace(self, notes=notes)

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

    def images(self, *keys: str) -> tuple[str | None, ...]:
        """The image file names under the first of `keys` that is there; one name may stand without a list.

        None, noted, keeps the place of what names no image; `LEFT_OUT`, noted, stands for one that cannot be had.
        """
        given = [key for key in keys if self.value.get(key) is not None]
        if not given:
            return ()
        for other in given[1:]:
            if self.value[other] != self.value[given[0]]:
                self.notes.note_unread(other, f"{given[0]!r} is read instead: keep one of the two", self.where)
        value = self.value[given[0]]
        if isinstance(value, list):
            return tuple(self.image(given[0], each) for each in value)
        if isinstance(value, str | dict | bytes) or is_image(value):
            return (self.image(given[0], value),)
        raise self.error(f'{given[0]} is {shown(value)}; it must be a list of file names like ["a.jpg"]')

    def image(self, key: str, value: Any) -> str | None:
        """The name of one image's file, given as such, as {"path": name}, or as an address or the picture itself.

        None, noted, where no name is given; `LEFT_OUT`, noted, for an address that was not fetched and a picture that
        cannot be read.
        """
        try:
            held = self._held(value)
            if held is None:
                self.notes.note("images without a name left out", self.where)
                return None
            if isinstance(held, bytes) and self.folder is not None:
                return self.folder.keep(held)
            if isinstance(held, str):
                return self._name_of_image(held)
        except NoPicture as error:
            self.notes.note(f"pictures in the data left out, as they {error}", self.where, lost=True)
            return LEFT_OUT
        raise self.error(f"{key} is {shown(held)}; it must be a file name in quotes")

    def _held(self, value: Any) -> Any:
        """The name, or the bytes of a picture, that an object holds or is; anything else as it is."""
        held = value
        for _ in range(2):  # {"image_url": {"url": name}} is as deep as it gets
            if not isinstance(held, dict):
                break
            picture = None if self.folder is None else _picture(held)
            found = next((held[each] for each in _IMAGE_NAMES if held.get(each) is not None), None)
            if picture is None and found is None and any(held.get(each) for each in _PICTURE_ITSELF):
                what = (
                    "set data.images to a folder, in which KDSL saves it" if self.folder is None else "give its name"
                )
                raise self._wrong_image(
                    NoImageFile(f"{shown(value)} is a picture itself; images must be files: {what}")
                )
            held = found if picture is None else picture
        return picture_of_image(held) if self.folder is not None and is_image(held) else held

    def _name_of_image(self, held: str) -> str:
        name = with_slashes(held)
        if name != held:
            self.notes.note("names of images with backslashes, which are read as slashes", self.where)
        if self.folder is not None:
            if is_picture_itself(name):
                return self.folder.keep(picture_of_url(name))
            name = self.folder.name_of(name) or name
            if is_fetchable(name):
                fetched = self.folder.fetched(name)
                if fetched is None and not self.folder.fetching:
                    what = "images left out that are addresses (`kdsl fetch` fetches them)"
                    self.notes.note(what, self.where, lost=True)
                return fetched or LEFT_OUT
        try:
            check_image_name(name)
        except KdslError as error:
            raise self._wrong_image(error) from error
        return name

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
        return _ROLES.get(value.strip().casefold()) if isinstance(value, str) else None

    def role(self, value: Any) -> Role:
        found = self.known_role(value)
        if found is None:
            raise self.error(f"the role {shown(value)} is unknown; roles are {', '.join(_ROLES)}")
        return found

    def _wrong_image(self, problem: KdslError) -> KdslError:
        """The same, with the place and the sample."""
        identity = shown(self.number if self.value.get("id") is None else self.value["id"])
        return type(problem)(f"{self.place}: an image of sample {identity}: {problem}")

    def _name(self, key: str, value: Any, right: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key} is {shown(value)}; it must be {right}")
        if _SURROGATE.search(value) or "\x00" in value:
            raise self.error(f"{key} is {shown(value)}, which holds half a character; remove it")
        return value


def record_at(path: Path, found: Value, notes: Notes, names: Mapping[str, str], folder: ImageFolder | None) -> Record:
    """The record of a value; KdslError when it is not an object, or a list of turns."""
    if _is_turns(found.value):
        return Record({"dialogue": found.value}, found.number, str(path), found.place, notes, names, folder)
    if not isinstance(found.value, dict):
        raise KdslError(
            f'{path}, {found.place}: {shown(found.value)} is not an object like {{"id": "1", "text": "…"}}'
        )
    return Record(found.value, found.number, str(path), found.place, notes, names, folder)


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


def _picture(held: dict[str, Any]) -> bytes | None:
    """The picture that an object holds itself: Hugging Face's {"bytes", "path"}, and what chat services take."""
    source = held.get("source")
    if isinstance(source, dict):
        held = source
    for key in ("bytes", "base64", "data"):
        value = held.get(key)
        if isinstance(value, bytes | bytearray) and value:
            return bytes(value)
        if isinstance(value, str) and value:
            return picture_of_url(value) if is_picture_itself(value) else picture_of_text(value)
    return None


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
