"""How many samples of a step are in memory at once, and whether activations are kept or computed again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.files import parsing, write_atomically
from kdsl.json_file import read_json

_FILE = "portion.json"


@dataclass(frozen=True)
class Portion:
    """What goes through the model at once."""

    at_once: int
    """Samples."""
    checkpointing: bool
    """Whether the backward pass computes activations again instead of finding them in memory: half as slow again."""
    chosen: str = ""
    """By what."""

    def __str__(self) -> str:
        again = "with" if self.checkpointing else "without"
        return f"{self.at_once} at once {again} activation checkpointing" + (f", {self.chosen}" if self.chosen else "")


def portions(batch: int, most: int | None = None) -> list[Portion]:
    """All that are worth a try for steps of `batch` samples, at most `most` at once, the quickest first.

    Every size divides the batch, so that a step is as large whatever fits. Checkpointing comes last: without it even
    one sample at a time is quicker. A given `most` is kept as long as memory allows, with checkpointing then.
    """
    sizes = [size for size in range(batch, 0, -1) if batch % size == 0 and size <= (most or batch)]
    plain = [Portion(size, False) for size in (sizes if most is None else sizes[:1])]
    return plain + [Portion(size, True) for size in sizes]


def choose(
    candidates: Sequence[Portion],
    calculate: Callable[[Portion], int],
    measure: Callable[[Portion], int | None],
    limit: int,
) -> int:
    """The row of the first candidate that fits `limit` bytes as it is measured; the last where none does.

    Where to begin is calculated: what is measured from there on is the way up as long as it fits, or down until it
    does. `measure` gives bytes at most, or None where memory ran out.
    """

    def fits(row: int) -> bool:
        found = measure(candidates[row])
        return found is not None and found <= limit

    last = len(candidates) - 1
    row = next((row for row, each in enumerate(candidates) if calculate(each) <= limit), last)
    if fits(row):
        while row > 0 and fits(row - 1):
            row -= 1
        return row
    while row < last:
        row += 1
        if fits(row):
            break
    return row


def smaller(candidates: Sequence[Portion], portion: Portion) -> Portion | None:
    """What to try when memory ran out with `portion`; None behind the last."""
    rows = [replace(each, chosen="") for each in candidates]
    row = rows.index(replace(portion, chosen="")) + 1
    return replace(rows[row], chosen="after memory ran out with more") if row < len(rows) else None


def keep(folder: Path, portion: Portion) -> None:
    """In the folder of a training's checkpoints: a resumed training takes the same batches."""
    write_atomically(folder / _FILE, json.dumps(asdict(portion)) + "\n")


def kept(folder: Path) -> Portion | None:
    """What `keep` wrote there; None where there is nothing that can be read."""
    path = folder / _FILE
    try:
        record: Any = read_json(path)
        with parsing(path, "not what a training keeps"):
            return Portion(int(record["at_once"]), bool(record["checkpointing"]), str(record["chosen"]))
    except KdslError:
        return None
