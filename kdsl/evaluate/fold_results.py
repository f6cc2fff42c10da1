"""What an interrupted cross-validation had found, so that the same command goes on from there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, field_validator

from kdsl.errors import KdslError
from kdsl.json_file import append_jsonl, read_jsonl, write_jsonl
from kdsl.record_file import Share, as_record

Place = tuple[str, int, tuple[str, ...]]
"""Task, fold, and the steps that were on."""


class _Fold(BaseModel):
    """A line of the file."""

    task: str
    fold: int
    steps: list[str]
    probabilities: list[list[Share]]

    @field_validator("probabilities")
    @classmethod
    def _rectangle(cls, rows: list[list[float]]) -> list[list[float]]:
        if len({len(row) for row in rows}) > 1:
            raise ValueError("rows of different lengths")
        return rows


class FoldResults:
    """Probabilities [n_asked, n_labels] by place; those that are added are on disk at once."""

    def __init__(self, known: dict[Place, NDArray[np.float64]], append: Callable[[dict[str, Any]], None]) -> None:
        self._known = known
        self._append = append

    def get(self, task: str, fold: int, steps: Sequence[str]) -> NDArray[np.float64] | None:
        return self._known.get((task, fold, tuple(steps)))

    def add(self, task: str, fold: int, steps: Sequence[str], probabilities: NDArray[np.float64]) -> None:
        self._append({"task": task, "fold": fold, "steps": list(steps), "probabilities": probabilities.tolist()})


@contextmanager
def fold_results(path: Path, fingerprint: str) -> Iterator[FoldResults]:
    """What `path` holds of the run with this `fingerprint`; another run's is forgotten, and the file goes at the end.

    Where the work is interrupted or fails, the file stays. Raises KdslError when it cannot be written.
    """
    header = {"fingerprint": fingerprint}
    records = _whole(path, header)
    # Written anew, so that neither a torn line nor another run's results stand before what is appended.
    write_jsonl(path, [header, *records])
    known = {
        (record["task"], record["fold"], tuple(record["steps"])): np.array(record["probabilities"], dtype=np.float64)
        for record in records
    }
    with append_jsonl(path) as append:
        yield FoldResults(known, append)
    path.unlink(missing_ok=True)


def _whole(path: Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of the same run, up to the first line that is not whole: folds from there on are done again."""
    found: list[dict[str, Any]] = []
    if not path.exists():
        return found
    try:
        for number, record in read_jsonl(path):
            if number == 1:
                if record != header:
                    return []
                continue
            found.append(as_record(_Fold, record, f"{path}, line {number}", "").model_dump())
    except KdslError:  # the line that a kill tore
        return found
    return found
