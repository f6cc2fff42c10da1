"""What a command must never do to files, whatever is wrong with one of them."""

import csv
import io
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_LEFT_OVER = re.compile(r"^\..*\.(?:[0-9a-f]{12}|tmp)$")
_MACHINE = ("checkpoints/", "predictions", "out/")
"""Beginnings of the names of files that machines own: a command may write them anew."""


@dataclass(frozen=True)
class File:
    """What stands at a place: kind (file, folder, link, pipe), mode, and the bytes or the link's target."""

    kind: str
    mode: int
    content: bytes

    @classmethod
    def at(cls, path: Path) -> "File":
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            return cls("link", 0, str(path.readlink()).encode())
        if stat.S_ISFIFO(status.st_mode):
            return cls("pipe", mode, b"")
        if stat.S_ISDIR(status.st_mode):
            return cls("folder", mode, b"")
        return cls("file", mode, path.read_bytes())


Snapshot = dict[str, File]
"""Name relative to the folder → what stands there."""


def snapshot(folder: Path) -> Snapshot:
    return {path.relative_to(folder).as_posix(): File.at(path) for path in sorted(folder.rglob("*"))}


def damage(before: Snapshot, after: Snapshot, target: str, arguments: list[str], failed: bool) -> list[str]:
    """What was harmed between two snapshots of the folder that holds `project` and `canary`, a sentence each.

    `target` is the file that the attack had spoiled, `before` holds it spoiled; `failed`: the command ended with 2.
    """
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new or name.startswith("home"):
            continue
        inner = name.removeprefix("project/")
        if not name.startswith("project/"):
            found.append(f"{name}: a place outside the project was written")
        elif new is None or new.kind != "file":
            if old is not None and old.kind != "folder" and not _may_change(inner, old, arguments):
                found.append(f"{name}: lost")
        elif _LEFT_OVER.match(Path(name).name):
            found.append(f"{name}: left over")
        elif old is not None and old.kind == "file" and old.mode != new.mode:
            found.append(f"{name}: mode {old.mode:o} became {new.mode:o}")
        elif old is not None and not _may_change(inner, old, arguments) and not _grew(name, old, new):
            found.append(f"{name}: changed by a command that may only read it")
        elif (name != target or not failed) and not _grew(name, old, new) and not whole(inner, new.content):
            found.append(f"{name}: half-written")
        elif name == target and failed and old is not None and not _grew(name, old, new):
            found.append(f"{name}: changed although the command failed")
    return found


def whole(name: str, content: bytes) -> bool:
    """Whether the file can be read as what its name says it is."""
    try:
        if name.endswith(".json"):
            json.loads(content)
        elif name.endswith(".jsonl"):
            all(json.loads(line) for line in content.decode().splitlines() if line.strip())
        elif name.endswith(".npz"):
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                [arrays[key] for key in arrays.files]
        elif name.endswith(".csv"):
            list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        elif name.endswith(".yaml") and name.startswith("rules/"):
            from kdsl.rules.rule_file import parse_rule

            parse_rule(Path(name), content.decode())
        return True
    except Exception:
        return False


def _grew(name: str, old: File | None, new: File) -> bool:
    """Lines were added behind those that were whole: logs, sidecars and predictions do that."""
    if old is None or old.kind != "file" or not name.endswith(".jsonl"):
        return False
    kept = old.content[: old.content.rfind(b"\n") + 1]
    return new.content.startswith(kept) and all(_is_json(line) for line in new.content[len(kept) :].splitlines())


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _may_change(name: str, old: File, arguments: list[str]) -> bool:
    """Whether the command owns the file, so that it may write it anew or take it away."""
    if name.startswith(_MACHINE):
        return True
    if name == "rules.csv":
        return arguments[:2] == ["rules", "export"]
    if name.startswith("rules/reviews/") or not name.startswith("rules/"):
        return False
    if name.endswith("statistics.jsonl"):
        return True
    # Of rules, what mining proposed and nobody touched; people's own only where they are asked to be written anew.
    untouched = b"status: proposed" in old.content and b"source: mcts" in old.content and b'by: ""' in old.content
    return (untouched and b"#" not in old.content) or arguments[:2] in (["rules", "fmt"], ["rules", "import"])
