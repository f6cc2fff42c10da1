"""The messages of a ShareGPT record: what was said, with `<image>` for each image, and which images those are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.data.image_names import NoImageFile
from kdsl.data.record import SYSTEM, TOOLS, Record, key_names, shown
from kdsl.sample import IMAGE_PLACEHOLDER, Role

_CALLS = ("tool_calls", "function_call")
_IMAGE_LISTS = ("images", "image")
_KEYS = frozenset({"role", "from", "content", "value", *_IMAGE_LISTS, *_CALLS})
_TEXTS = ("text", "input_text", "output_text")
_IMAGES = ("image", "image_url", "input_image")
_SAVE = "it is an address or the picture itself: set data.images to a folder that it can be saved in"
_IMAGE = re.compile(rf"{IMAGE_PLACEHOLDER}|<img>(.*?)</img>", re.DOTALL)
"""ms-swift writes the file's name between its own marks."""


@dataclass(frozen=True, slots=True)
class Message:
    """`images` has the name of each `<image>` in `text`, None for the next one that the record lists, `LEFT_OUT` for
    one that cannot be had."""

    role: Role
    text: str
    images: tuple[str | None, ...]


def read_messages(record: Record) -> list[Message]:
    """What the user and the agent said; whatever else there is is left out, noted.

    Raises KdslError for what may be a turn but cannot be read.
    """
    messages = [_message(record, number, value) for number, value in enumerate(_values(record), start=1)]
    return [message for message in messages if message is not None]


def _values(record: Record) -> list[Any]:
    key = next(
        (key for key in ("messages", "conversations", "query") if record.value.get(key) is not None), "messages"
    )
    if key == "query":
        return _queries(record)
    value = record.value.get(key)
    if not isinstance(value, list):
        raise record.error(f'{key} is {shown(value)}; it must be a list like [{{"role": "user", "content": "…"}}]')
    return value


def _queries(record: Record) -> list[Any]:
    history = record.value.get("history") or []
    pairs = isinstance(history, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in history)
    if not pairs:
        raise record.error(f'history is {shown(history)}; it must be a list of pairs like [["question", "answer"]]')
    said = [text for pair in [*history, [record.value["query"], record.value.get("response") or ""]] for text in pair]
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text} for number, text in enumerate(said)]


def _message(record: Record, number: int, value: Any) -> Message | None:
    if value is None:
        record.notes.note("messages without text left out", record.where)
        return None
    if not isinstance(value, dict):
        raise record.error(f'message {number} is {shown(value)}; it must be like {{"role": "user", "content": "…"}}')
    role = _first(value, "role", "from")
    if role in SYSTEM:
        record.notes.note("system messages left out", record.where)
        return None
    if role in TOOLS:
        record.notes.note("calls of tools and their answers left out", record.where)
        return None
    content = _first(value, "content", "value")
    if any(value.get(key) for key in _CALLS):
        record.notes.note("calls of tools and their answers left out", record.where)
        if content is None:
            return None
    elif content is None and ("content" in value or "value" in value):
        record.notes.note("messages without text left out", record.where)
        return None
    elif content is None:
        raise record.error(
            f"the content of message {number} is missing; it must be text in quotes; its keys are {key_names(value)}"
        )
    if role is None:
        raise record.error(f"the role of message {number} is missing; its keys are {key_names(value)}")
    text, images = _content(record, number, content)
    for key in value.keys() - _KEYS:
        record.notes.unused[f"{key} of messages"] += 1
    if value.keys() & _IMAGE_LISTS:
        waiting = iter(record.inner(value).images(*_IMAGE_LISTS))
        images = tuple(next(waiting, None) if image is None else image for image in images)
        rest = tuple(waiting)
        text, images = text + IMAGE_PLACEHOLDER * len(rest), images + rest
    return Message(record.role(role), text, images)


def _content(record: Record, number: int, content: Any) -> tuple[str, tuple[str | None, ...]]:
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return _marked(record, record.text(f"the content of message {number}", content))
    parts = [_part(record, f"part {nth} of message {number}", part) for nth, part in enumerate(content, start=1)]
    return "".join(text for text, _ in parts), tuple(image for _, images in parts for image in images)


def _part(record: Record, place: str, part: Any) -> tuple[str, Sequence[str | None]]:
    """Of a message that is a list of parts, as chat APIs write them."""
    if isinstance(part, str):
        return _marked(record, record.text(place, part))
    if not isinstance(part, dict):
        raise record.error(f'{place} is {shown(part)}; it must be like {{"type": "text", "text": "…"}}')
    kind = part.get("type")
    if kind in _IMAGES or (kind is None and any(part.get(key) is not None for key in _IMAGES)):
        named = {key: value for key, value in part.items() if key not in ("type", "detail", "text", "index")}
        has_name = any(value is not None for value in named.values())
        try:
            return IMAGE_PLACEHOLDER, (record.image(place, named) if has_name else None,)
        except NoImageFile:  # what chat services take: the dialogue is there without it
            record.notes.note_unread(str(kind or next(iter(named))), _SAVE, record.where)
            return "", ()
    if kind in _TEXTS or (kind is None and "text" in part):
        if not isinstance(part.get("text"), str):
            raise record.error(f"the text of {place} is {shown(part.get('text'))}; it must be text in quotes")
        return _marked(record, record.text(place, part["text"]))
    if not isinstance(kind, str):
        raise record.error(f"{place} has neither text nor an image; its keys are {key_names(part)}")
    record.notes.note(f"parts of messages of the type {shown(kind)} left out", record.where)
    return "", ()


def _marked(record: Record, text: str) -> tuple[str, tuple[str | None, ...]]:
    """The text with `<image>` for each image, and the names that stood in it."""
    if "<im" not in text:
        return text, ()
    images = tuple(record.image("<img>", name.strip()) if name else None for name in _IMAGE.findall(text))
    return _IMAGE.sub(IMAGE_PLACEHOLDER, text), images


def _first(value: dict[str, Any], *keys: str) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)
