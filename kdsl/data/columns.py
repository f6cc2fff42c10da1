"""Which columns of a table, or keys of records, hold text, turns, images, sounds, label and id."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from kdsl.data.dialogue import CHINESE, ENGLISH, Waiting, parse_dialogue
from kdsl.data.media import AUDIO, IMAGES, MEDIA
from kdsl.data.record import SYSTEM, TOOLS, Record, json_in, shown
from kdsl.data.record_media import names_in

ROLES = ("role", "from", "speaker", "author", "sender", "角色", "发送者")
"""Keys that say whose turn it is."""
_SAID = ("text", "content", "value", "utterance", "message", "sentence", "内容", "消息")
PARTS_TYPE, PARTS_CONTENT = "type", "content"
"""Keys of a part of a turn in the FusionBrain form."""


@dataclass(frozen=True)
class Columns:
    """A name for each thing that a sample is made of; empty where no column holds it.

    The texts of several columns are joined by line breaks, in the order given; a dialogue counts before them.
    """

    text: tuple[str, ...] = ()
    turns: str = ""
    images: tuple[str, ...] = ()
    label: str = ""
    id: str = ""
    audio: tuple[str, ...] = ()

    @property
    def content(self) -> tuple[str, ...]:
        """Those that say or show something."""
        return (*self.text, *((self.turns,) if self.turns else ()), *self.images, *self.audio)

    @property
    def names(self) -> tuple[str, ...]:
        """All that are read."""
        return (*self.content, *(name for name in (self.label, self.id) if name))

    def filled(self, found: "Columns") -> "Columns":
        """With what these leave open taken from `found`; nothing is read twice."""
        taken = set(self.names)
        said = bool(self.text or self.turns)
        return Columns(
            self.text or (() if said else tuple(name for name in found.text if name not in taken)),
            self.turns or ("" if said or found.turns in taken else found.turns),
            self.images or tuple(name for name in found.images if name not in taken),
            self.label or ("" if found.label in taken else found.label),
            self.id or ("" if found.id in taken else found.id),
            self.audio or tuple(name for name in found.audio if name not in taken),
        )

    def among(self, names: Set[str]) -> "Columns":
        """Only those of the `names`."""
        return Columns(
            tuple(name for name in self.text if name in names),
            self.turns if self.turns in names else "",
            tuple(name for name in self.images if name in names),
            self.label if self.label in names else "",
            self.id if self.id in names else "",
            tuple(name for name in self.audio if name in names),
        )

    def told(self) -> str:
        """For a sentence: 'title' and 'body' as the text, 'intent' as the label."""
        held = {"text": self.text, "turns": (self.turns,), "images": self.images, "sounds": self.audio}
        held["label"] = (self.label,)
        named = {what: [repr(name) for name in names if name] for what, names in held.items()}
        parts = [f"{' and '.join(names)} as the {what}" for what, names in named.items() if names]
        return ", ".join([*parts, *([f"{self.id!r} as the id"] if self.id else [])])

    def plain(self, record: Record, values: Mapping[str, Any]) -> Record:
        """A record in KDSL's own form, made of the `values` of one in another form."""
        held: dict[str, Any] = {key: record.value[key] for key in ("task", "copy_of") if key in record.value}
        if self.id:
            held["id"] = values.get(self.id)
        if self.label:
            held["label"] = _stripped(values.get(self.label))
        texts = [text for name in self.text if (text := _as_text(record, name, values.get(name)))]
        turns = _turns(record, self.turns, values.get(self.turns)) if self.turns else None
        if turns is not None:
            held["turns"] = turns
        elif self.text:
            held["text"] = "\n".join(texts) or None
        for medium, names in ((IMAGES, self.images), (AUDIO, self.audio)):
            if files := [file for name in names for file in names_in(values.get(name))]:
                held[medium.keys[0]] = files
        return record.with_value(held)


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _as_text(record: Record, name: str, value: Any) -> str:
    """Of a cell that need not be text: numbers as they are written."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "" if value != value else str(value)  # a cell without a value may be NaN
    raise record.error(f"{name} is {shown(value)}; it must be text in quotes")


def has_foreign_turns(value: Any) -> bool:
    """Whether it is a list of turns that are not written as KDSL does it, {role, text}, or one in a table's cell."""
    if isinstance(value, str):
        return isinstance(json_in(value), list)
    return isinstance(value, list) and any(map(_is_foreign, value))


def _is_foreign(turn: Any) -> bool:
    if isinstance(turn, dict):
        return "text" not in turn and any(key in turn for key in _SAID)
    return isinstance(turn, list)


def _turns(record: Record, name: str, value: Any) -> list[dict[str, Any]] | None:
    """The turns of a dialogue as a cell or key may hold it: a list of turns, that as JSON, or lines with speakers."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        listed = json_in(value)
        value = value if listed is None else listed
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return _spoken(value)
    if not isinstance(value, list):
        raise record.error(f"{name} is {shown(value)}; it must be a list of turns, or lines like 用户: … and 客服: …")
    turns = [_turn(record, f"turn {number} of {name}", number, turn) for number, turn in enumerate(value, start=1)]
    return _with_roles(record, turns)


def _with_roles(record: Record, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without prompts and tools, which nobody said. Of names that tell no role the first to speak is the user."""
    spoken = [turn for turn in turns if turn["role"] not in (*SYSTEM, *TOOLS)]
    if len(spoken) < len(turns):
        record.notes.note("dialogues with system messages or calls of tools, which were left out", record.where)
    if all(record.known_role(turn["role"]) for turn in spoken):
        return spoken
    record.notes.note("dialogues whose speakers are called by name: the first is taken for the user", record.where)
    return [{**turn, "role": "user" if turn["role"] == spoken[0]["role"] else "agent"} for turn in spoken]


def _spoken(text: str) -> list[dict[str, Any]]:
    """Of lines with speakers; what names none is one turn of the user."""
    for speakers in (CHINESE, ENGLISH):
        if speakers.starts.match(text.lstrip()):
            return [{"role": t.role, "text": t.text} for t in parse_dialogue(text.lstrip(), Waiting(), speakers)]
    return [{"role": "user", "text": text}]


def _turn(record: Record, place: str, number: int, turn: Any) -> dict[str, Any]:
    """A text alone is said by user and agent in turn, as nothing tells who says it."""
    if isinstance(turn, str):
        return {"role": ("agent", "user")[number % 2], "text": turn}
    if isinstance(turn, list):  # FusionBrain: nothing but what the user asks
        return {"role": "user", **_joined(record, place, turn)}
    if not isinstance(turn, dict):
        raise record.error(f'{place} is {shown(turn)}; it must be like {{"role": "user", "text": "…"}}')
    said = next((turn[key] for key in _SAID if turn.get(key) is not None), None)
    role = next((turn[key] for key in ROLES if turn.get(key) is not None), ("agent", "user")[number % 2])
    files = {key: turn[key] for medium in MEDIA for key in medium.keys if turn.get(key) is not None}
    if turn.get(PARTS_TYPE) in ("text", "image", "audio") and PARTS_CONTENT in turn:
        return {"role": role, **_joined(record, place, [turn])}
    if isinstance(said, list):
        return {"role": role, **_joined(record, place, said)}
    return {"role": role, "text": "" if said is None and files else said, **files}


def _joined(record: Record, place: str, parts: list[Any]) -> dict[str, Any]:
    """The text, images and sounds of a turn that is a list of {type, content}."""
    texts: list[str] = []
    files: dict[str, list[Any]] = {}
    for part in parts:
        kind = part.get(PARTS_TYPE) if isinstance(part, dict) else "text"
        medium = next((medium for medium in MEDIA if kind in medium.parts), None)
        content = part
        if isinstance(part, dict):
            keys = (*_SAID, *(() if medium is None else medium.names))
            content = next((part[key] for key in keys if key in part), None)
        if kind == "text" and isinstance(content, str):
            texts.append(content)
        elif medium is not None:
            files.setdefault(medium.keys[0], []).append(content)
        elif isinstance(kind, str) and kind != "text":
            record.notes.note(f"parts of turns of the type {kind!r} left out", record.where)
        else:
            raise record.error(f'{place} holds {shown(part)}; it must be like {{"type": "text", "content": "…"}}')
    return {"text": "\n".join(texts), **files}
