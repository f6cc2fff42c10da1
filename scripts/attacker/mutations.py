"""What may be wrong with a file: each function spoils the file at `path` and says how."""

import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Mutation = Callable[[Path, random.Random], str]

DEEP = 100_000
DIGITS = 5_000
LONG_LINE = 20_000_000


def truncated(path: Path, source: random.Random) -> str:
    data = path.read_bytes()
    end = source.randrange(len(data) + 1)
    path.write_bytes(data[:end])
    return f"cut after byte {end} of {len(data)}"


def garbled(path: Path, source: random.Random) -> str:
    data = bytearray(path.read_bytes() or b"\n")
    places = [source.randrange(len(data)) for _ in range(1 + len(data) // 200)]
    for place in places:
        data[place] = source.randrange(256)
    path.write_bytes(data)
    return f"{len(places)} bytes changed"


def wrong_type(path: Path, source: random.Random) -> str:
    values: list[Any] = [
        None, True, -1, 0, 10**30, 0.5, float("nan"), float("inf"), "", "x", "退款", [], {}, ["x"], [[]], {"x": 1},
    ]  # fmt: skip
    return _changed(path, source, source.choice(values))


def name_outside(path: Path, source: random.Random) -> str:
    outside = path.parent
    while outside.name != "project":
        outside = outside.parent
    names = ["../canary/new.txt", "../../canary/kept.txt", str(outside.parent / "canary/new.yaml"), "/etc/hostname"]
    return _changed(path, source, source.choice(names), only=str)


def huge_number(path: Path, source: random.Random) -> str:
    return _changed(path, source, _Raw("9" * DIGITS))


def nested(path: Path, source: random.Random) -> str:
    return _changed(path, source, _Raw(source.choice(["[", '{"a":']) * DEEP + source.choice(["", "]" * DEEP])))


def lone_surrogate(path: Path, source: random.Random) -> str:
    return _changed(path, source, _Raw('"\\ud83d退"'))


def huge_line(path: Path, source: random.Random) -> str:
    data = path.read_bytes()
    place = data.find(b"\n", source.randrange(len(data) + 1)) + 1
    path.write_bytes(data[:place] + b"x" * LONG_LINE + b"\n" + data[place:])
    return f"a line of {LONG_LINE} characters at byte {place}"


def nul(path: Path, source: random.Random) -> str:
    data = path.read_bytes()
    place = source.randrange(len(data) + 1)
    path.write_bytes(data[:place] + b"\0" * source.choice([1, 4096]) + data[place:])
    return f"NUL at byte {place}"


def key_twice(path: Path, source: random.Random) -> str:
    data = path.read_bytes()
    place = data.find(b'"', source.randrange(len(data) + 1))
    end = data.find(b",", place)
    if place < 0 or end < 0:
        return truncated(path, source)
    path.write_bytes(data[:end] + b"," + data[place:end] + data[end:])
    return f"bytes {place} to {end} twice"


def other_encoding(path: Path, source: random.Random) -> str:
    encoding = source.choice(["utf-16", "gb18030", "utf-8-sig", "shift_jis"])
    path.write_bytes(path.read_bytes().decode("utf-8", "replace").encode(encoding, "replace"))
    return encoding


def other_line_ends(path: Path, source: random.Random) -> str:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))
    return "CR alone"


def link(path: Path, source: random.Random) -> str:
    canary = path
    while canary.name != "project":
        canary = canary.parent
    target = source.choice(
        [path.name, "nowhere", str(canary.parent / "canary/kept.txt"), "/dev/zero", "/etc/hostname", "."]
    )
    path.unlink()
    path.symlink_to(target)
    return f"a link to {target}"


def fifo(path: Path, source: random.Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return "a pipe that nobody writes to"


def directory(path: Path, source: random.Random) -> str:
    path.unlink()
    path.mkdir()
    return "a folder"


def no_permission(path: Path, source: random.Random) -> str:
    """The attacked command runs as another user than root, who may read everything."""
    place = source.choice([path, path.parent])
    place.chmod(0o500 if place.is_dir() and source.random() < 0.5 else 0)
    return f"no rights on {place.name}"


MUTATIONS: tuple[Mutation, ...] = (
    truncated, garbled, wrong_type, wrong_type, name_outside, huge_number, nested, lone_surrogate, huge_line, nul,
    key_twice, other_encoding, other_line_ends, link, fifo, directory, no_permission,
)  # fmt: skip


class _Raw(str):
    """Text that stands in the file as it is, whatever a parser would take it for."""


_MARK = "\ue000"


def _changed(path: Path, source: random.Random, value: Any, only: type | None = None) -> str:
    """Put `value` in the place of one value in the file, or text at any place where it holds no values."""
    data = path.read_bytes()
    if path.suffix == ".npz":
        return _changed_arrays(path, source, value)
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    if path.suffix == ".json":
        lines = [text]
    number = source.randrange(len(lines))
    try:
        record = json.loads(lines[number])
    except ValueError:
        return _inserted(path, text, source, value)
    places = [(holder, key) for holder, key, inner in _values(record) if only is None or isinstance(inner, only)]
    if not places:
        return _inserted(path, text, source, value)
    holder, key = source.choice(places)
    before = holder[key]
    holder[key] = _MARK if isinstance(value, _Raw) else value
    written = json.dumps(record, ensure_ascii=False).replace(f'"{_MARK}"', value if isinstance(value, _Raw) else "")
    lines[number] = written
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    return f"{_short(value)} for {key!r}: {_short(before)}"


def _values(value: Any) -> "list[tuple[Any, Any, Any]]":
    found = []
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += [(value, key, inner), *_values(inner)]
    return found


def _inserted(path: Path, text: str, source: random.Random, value: Any) -> str:
    """In YAML, Markdown and CSV: in the place of what stands behind a colon or a comma."""
    places = [i + 1 for i, character in enumerate(text) if character in ":,["] or [0]
    start = source.choice(places)
    end = min((i for i in (text.find(mark, start) for mark in ",\n]}") if i >= 0), default=len(text))
    written = value if isinstance(value, _Raw) else json.dumps(value, ensure_ascii=False)
    path.write_bytes(f"{text[:start]} {written}{text[end:]}".encode("utf-8", "surrogatepass"))
    return f"{_short(value)} for {_short(text[start:end])}"


def _changed_arrays(path: Path, source: random.Random, value: Any) -> str:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except ValueError:  # it was made of objects by hand
        return truncated(path, source)
    name = source.choice([*arrays])
    array = arrays[name]
    changes: dict[str, Callable[[], Any]] = {
        "NaN": lambda: np.where(np.arange(array.size).reshape(array.shape) == 0, np.nan, array.astype(float)),
        "another shape": lambda: array.reshape(-1)[: array.size // 2],
        "texts": lambda: array.astype(str),
        "one value": lambda: np.array(0 if isinstance(value, _Raw) or value is None else 1),
        "negative": lambda: -array.astype(float) - 1,
        "nothing": lambda: array[:0] if array.ndim else np.array([]),
    }
    how = source.choice([*changes])
    arrays[name] = changes[how]()
    np.savez(path, **arrays)
    return f"{how} in the array {name}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
