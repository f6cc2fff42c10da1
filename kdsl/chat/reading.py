"""Reading dialogues: in the form of FusionBrain Challenge 3.0, as messages, or as KDSL's own turns."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kdsl.chat.dialogue import ChatTurn, Dialogue, Part, PartKind
from kdsl.data.encoding import text_lines
from kdsl.data.record import SYSTEM, TOOLS, Record, key_names, shown
from kdsl.data.unpacking import open_unpacked
from kdsl.data.values import Value, json_values
from kdsl.errors import KdslError
from kdsl.files import check_name
from kdsl.json_file import parse_json
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, Role
from kdsl.text import writable

LONGEST_TEXT = 50_000
"""Characters of one text, which are more tokens than models read at once."""

_DIALOGUE = '[[{"type": "text", "content": "…"}], …] or {"id": …, "turns": [{"role": "user", "text": "…"}, …]}'
_TURN = '[{"type": "text", "content": "…"}, …] or {"role": "user", "text": "…"}'
_TURNS = ("turns", "messages", "dialogue", "conversations")
_TEXTS, _PARTS = ("text", "value", "content"), ("parts", "content", "value")
_FILES: dict[PartKind, tuple[str, ...]] = {"image": ("images", "image"), "audio": ("audio", "audios")}
_JSONL_NAME = re.compile(r"\.(jsonl|ndjson)(\.(gz|bz2|xz|zip))?$", re.IGNORECASE)
_PLACEHOLDERS: dict[str, PartKind] = {IMAGE_PLACEHOLDER: "image", AUDIO_PLACEHOLDER: "audio"}


def read_dialogues(path: Path) -> list[Dialogue]:
    """The dialogues of a JSON file: a list of them, {"dialogues": [...]}, or one a line.

    A dialogue is a list of turns, or an object with an id and turns; one without an id goes by its number. A turn is
    an object that says whose it is, or a list of parts like {"type": "image", "content": "a.jpg"}: then user and
    agent take turns, but behind a turn of the user without text comes the question, which is the user's too. System
    messages and empty turns of the user are left out. Names of files are relative to the folder of pictures or sounds.

    Raises KdslError with the file, the dialogue and the turn for what is of another shape, for texts that are too
    long, and for names that lead out of a folder.
    """
    dialogues: dict[str, Dialogue] = {}
    for place, number, value in _values(path):
        dialogue = _dialogue(f"{path}, {place}", number, value)
        if dialogue.id in dialogues:
            raise KdslError(f"{path}, {place}: the id {shown(dialogue.id)} is that of an earlier dialogue; change one")
        dialogues[dialogue.id] = dialogue
    if not dialogues:
        raise KdslError(f"{path}: holds no dialogues; give a list of them, each like {_DIALOGUE}")
    return [*dialogues.values()]


def _values(path: Path) -> Iterator[tuple[str, str, Any]]:
    """(place, number, value) of every dialogue."""
    with open_unpacked(path) as file:
        lines = text_lines(path, file, ())
        for place, number, value in (
            _by_line(path, lines) if _JSONL_NAME.search(path.name) else json_values(path, lines)
        ):
            inner = value.get("dialogues") if isinstance(value, dict) else None
            if inner is None:
                yield place.replace("element", "dialogue"), number, value
            elif isinstance(inner, list):
                yield from ((f"dialogue {nth}", str(nth), each) for nth, each in enumerate(inner, start=1))
            else:
                raise KdslError(f"{path}, {place}: dialogues is {shown(inner)}; it must be a list of dialogues")


def _by_line(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Value]:
    """The value in each line: by its name alone JSON Lines of lists is told from lists that follow each other."""
    for number, line in lines:
        if line.strip():
            yield Value(f"line {number}", str(number), parse_json(line.strip(), path, number))


def _dialogue(place: str, number: str, value: Any) -> Dialogue:
    turns, identity = value, None
    if isinstance(value, dict):
        identity = value.get("id")
        turns = next((value[key] for key in _TURNS if value.get(key) is not None), None)
        if turns is None:
            raise KdslError(f"{place}: has no turns, its keys are {key_names(value)}; write {_DIALOGUE}")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None) or identity == "":
        raise KdslError(f"{place}: the id is {shown(identity)}; it must be a text or a whole number")
    if not isinstance(turns, list):
        raise KdslError(f"{place}: is {shown(turns)}, not a dialogue; write {_DIALOGUE}")
    if isinstance(value, list) and turns and all(map(_is_part, turns)):
        raise KdslError(f"{place}: is a list of parts, a single turn; a dialogue is a list of turns: {_DIALOGUE}")
    read: list[ChatTurn] = []
    for nth, turn in enumerate(turns, start=1):
        answers = bool(read) and read[-1].role == "user" and bool(read[-1].text)
        found = _turn(f"{place}, turn {nth}", "agent" if answers else "user", turn)
        if found is not None and (found.parts or found.role == "agent"):
            read.append(found)
    if not any(turn.role == "user" for turn in read):
        raise KdslError(f"{place}: nobody asks anything in it; take it out, or give the user a turn")
    return Dialogue(number if identity is None else writable(str(identity)), tuple(read))


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str) and not value.keys() & {"role", "from"}


def _turn(place: str, role: Role, value: Any) -> ChatTurn | None:
    """The turn, of `role` where it does not say so; None for what nobody says, such as a system message."""
    if isinstance(value, str | list):
        return ChatTurn(role, _parts(place, value))
    if not isinstance(value, dict):
        raise KdslError(f"{place}: is {shown(value)}, not a turn; write {_TURN}")
    if _is_part(value):
        raise KdslError(f"{place}: is a part, not a turn; put the parts of a turn into a list, like {_TURN}")
    said = next((value[key] for key in ("role", "from") if value.get(key) is not None), None)
    if said in SYSTEM:
        return None
    known = Record.known_role(said)
    if known is None or said in TOOLS:
        told = f"is {shown(said)}" if said is not None else f"is missing, its keys are {key_names(value)}"
        raise KdslError(f"{place}: the role {told}; it must be user or agent")
    listed = next((value[key] for key in _PARTS if isinstance(value.get(key), list)), None)
    text = next((value[key] for key in _TEXTS if key in value and not isinstance(value[key], list)), None)
    parts = _parts(place, listed or []) + (() if text is None else _parts(place, text))
    return ChatTurn(known, _placed(parts, {kind: _named(place, kind, value) for kind in _FILES}))


def _parts(place: str, value: Any) -> tuple[Part, ...]:
    listed = value if isinstance(value, list) else [value]
    parts = (_part(f"{place}, part {nth}" if len(listed) > 1 else place, each) for nth, each in enumerate(listed, 1))
    return tuple(part for part in parts if part.content)


def _part(place: str, value: Any) -> Part:
    if isinstance(value, str):
        return _text(place, value)
    if not isinstance(value, dict):
        raise KdslError(f'{place}: is {shown(value)}, not a part; write {{"type": "text", "content": "…"}}')
    kind = value.get("type")
    if kind not in ("text", *_FILES):
        told = f"is {shown(kind)}" if kind is not None else f"is missing, its keys are {key_names(value)}"
        raise KdslError(f"{place}: the type of a part {told}; it must be text, image or audio")
    content = next((value[key] for key in ("content", kind) if value.get(key) is not None), None)
    if not isinstance(content, str):
        right = "a text" if kind == "text" else "the name of a file"
        raise KdslError(f"{place}: the content of a part of the type {kind} is {shown(content)}; it must be {right}")
    return _text(place, content) if kind == "text" else _file(place, kind, content)


def _text(place: str, text: str) -> Part:
    if len(text) > LONGEST_TEXT:
        raise KdslError(f"{place}: a text of {len(text):,} characters; at most {LONGEST_TEXT:,} are read, so cut it")
    return Part("text", writable(text).strip())


def _file(place: str, kind: PartKind, name: str) -> Part:
    try:
        check_name(name, "the folder of pictures" if kind == "image" else "the folder of sounds")
    except KdslError as error:
        raise KdslError(f"{place}: {error}") from error
    return Part(kind, name)


def _named(place: str, kind: PartKind, turn: dict[str, Any]) -> list[Part]:
    """What an object lists beside its text: one name or several."""
    listed: Any = next((turn[key] for key in _FILES[kind] if turn.get(key) is not None), [])
    names = [listed] if isinstance(listed, str) else listed
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise KdslError(f"{place}: {_FILES[kind][0]} is {shown(listed)}; it must be a list of names of files")
    return [_file(place, kind, name) for name in names]


def _placed(parts: Sequence[Part], named: dict[PartKind, list[Part]]) -> tuple[Part, ...]:
    """The parts, with a listed file for every <image> and <audio>; those that stand nowhere come first."""
    waiting = {kind: iter(files) for kind, files in named.items()}
    placed: list[Part] = []
    for part in parts:
        if part.kind != "text":
            placed.append(part)
            continue
        for piece in re.split(f"({'|'.join(_PLACEHOLDERS)})", part.content):
            kind = _PLACEHOLDERS.get(piece)
            found = None if kind is None else next(waiting[kind], None)
            # A placeholder that no file is left for is text.
            placed += [found] if found else [Part("text", piece.strip())] if piece.strip() else []
    return (*(part for files in waiting.values() for part in files), *placed)
