"""The messages of a ShareGPT record: what was said, a placeholder for each image and sound, and which these are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdsl.data.media import AUDIO, IMAGES, MEDIA, Medium, NoMediaFile
from kdsl.data.record import SYSTEM, TOOLS, Record, key_names, shown
from kdsl.data.record_media import file_in, files_in
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, Role

_CALLS = ("tool_calls", "function_call")
_KEYS = frozenset({"role", "from", "content", "value", *IMAGES.keys, *AUDIO.keys, *_CALLS})
_TEXTS = ("text", "input_text", "output_text")
_BESIDE = ("type", "detail", "text", "index", "format")
"""Keys of a part that is an image or a sound which do not hold it."""
_MARK = re.compile(
    rf"(?P<image>{IMAGE_PLACEHOLDER}|<img>(?P<shown>.*?)</img>)"
    rf"|(?P<audio>{AUDIO_PLACEHOLDER}(?:(?P<heard>[^<\n]*)</audio>)?)",
    re.DOTALL,
)
"""ms-swift writes the file's name between its own marks."""

Files = Mapping[Medium, tuple[str | None, ...]]
"""The name of each placeholder's file, None for the next one that the record lists, `LEFT_OUT` for one that cannot be
had."""


@dataclass(frozen=True, slots=True)
class Message:
    """`files` has one for each placeholder in `text`."""

    role: Role
    text: str
    files: Files


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
    text, files = _content(record, number, content)
    for key in value.keys() - _KEYS:
        record.notes.unused[f"{key} of messages"] += 1
    for medium in MEDIA:
        if value.keys() & {*medium.keys}:
            waiting = iter(files_in(record.inner(value), medium))
            placed = [next(waiting, None) if file is None else file for file in files[medium]]
            rest = [*waiting]
            text, files = text + medium.placeholder * len(rest), {**files, medium: (*placed, *rest)}
    return Message(record.role(role), text, files)


def _content(record: Record, number: int, content: Any) -> tuple[str, Files]:
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return _marked(record, record.text(f"the content of message {number}", content))
    parts = [_part(record, f"part {nth} of message {number}", part) for nth, part in enumerate(content, start=1)]
    files = {medium: tuple(file for _, held in parts for file in held.get(medium, ())) for medium in MEDIA}
    return "".join(text for text, _ in parts), files


def _part(record: Record, place: str, part: Any) -> tuple[str, Files]:
    """Of a message that is a list of parts, as chat APIs write them."""
    if isinstance(part, str):
        return _marked(record, record.text(place, part))
    if not isinstance(part, dict):
        raise record.error(f'{place} is {shown(part)}; it must be like {{"type": "text", "text": "…"}}')
    kind = part.get("type")
    medium = _medium(kind, part)
    if medium is not None:
        named = {key: value for key, value in part.items() if key not in _BESIDE}
        has_name = any(value is not None for value in named.values())
        try:
            return medium.placeholder, {medium: (file_in(record, medium, place, named) if has_name else None,)}
        except NoMediaFile:  # what chat services take: the dialogue is there without it
            remedy = (
                f"it is an address or {medium.itself} itself: set {medium.setting} to a folder that it can be saved in"
            )
            record.notes.note_unread(str(kind or next(iter(named))), remedy, record.where)
            return "", {}
    if kind in _TEXTS or (kind is None and "text" in part):
        if not isinstance(part.get("text"), str):
            raise record.error(f"the text of {place} is {shown(part.get('text'))}; it must be text in quotes")
        return _marked(record, record.text(place, part["text"]))
    if not isinstance(kind, str):
        raise record.error(f"{place} has no text, image or sound; its keys are {key_names(part)}")
    record.notes.note(f"parts of messages of the type {shown(kind)} left out", record.where)
    return "", {}


def _medium(kind: Any, part: Mapping[str, Any]) -> Medium | None:
    """What a part is by its type, or by its keys where it has none; None for a text and anything else."""
    for medium in MEDIA:
        if kind in medium.parts or (kind is None and any(part.get(key) is not None for key in medium.parts)):
            return medium
    return None


def _marked(record: Record, text: str) -> tuple[str, Files]:
    """The text with a placeholder for each image and sound, and the names that stood in it."""
    files: dict[Medium, tuple[str | None, ...]] = {medium: () for medium in MEDIA}

    def placed(match: re.Match[str]) -> str:
        medium, name = (IMAGES, match["shown"]) if match["image"] else (AUDIO, match["heard"])
        files[medium] += (file_in(record, medium, medium.placeholder, name.strip()) if name else None,)
        return medium.placeholder

    return _MARK.sub(placed, text), files


def _first(value: dict[str, Any], *keys: str) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)
