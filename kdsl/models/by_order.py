"""Predictions without ids, in the order of the data that was predicted.

LLaMA-Factory writes `generated_predictions.jsonl` so, {"prompt", "predict", "label"} a line, and ms-swift the
`result_path` of `swift infer`, {"response", "labels", "messages", …}.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.json_file import read_jsonl
from kdsl.models.large.targets import label_in
from kdsl.sample import Sample

Orders = Sequence[Sequence[Sample]]
"""The samples of each data file that may have been predicted, in the order of the file."""


@dataclass(frozen=True)
class _Shape:
    tool: str
    answer: str
    """The key of what the model answered."""
    truth: str
    """The key of what it should have answered, which may be empty."""


_SHAPES = (_Shape("LLaMA-Factory", "predict", "label"), _Shape("ms-swift", "response", "labels"))


def has_no_ids(path: Path) -> bool:
    """Whether the file's first line is one of LLaMA-Factory or ms-swift, without an id."""
    return _shape(next(read_jsonl(path), None)) is not None


def _shape(first: tuple[int, dict[str, Any]] | None) -> _Shape | None:
    if first is None or "id" in first[1]:
        return None
    return next((shape for shape in _SHAPES if shape.answer in first[1]), None)


def with_ids(path: Path, orders: Orders) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, {"id", "task", "label"}) for every line, as KDSL's own prediction files have them, but the id is the
    sample's fingerprint: two data files may number their samples alike.

    The line count tells which of the data files was predicted, or that all were, one after the other; their labels
    must be those that stand beside the predictions. Raises KdslError where no file fits, and for a sample that has two
    different answers.
    """
    lines = list(read_jsonl(path))
    shape = _shape(lines[0] if lines else None) or _SHAPES[0]
    for number, record in lines:
        if not isinstance(record.get(shape.answer), str):
            raise KdslError(
                f'{path}, line {number}: not a prediction of {shape.tool}; expected {{"{shape.answer}", '
                f'"{shape.truth}"}}'
            )
    whole = [*orders, [*chain.from_iterable(orders)]] if len(orders) > 1 else orders
    fitting = [samples for samples in whole if len(samples) == len(lines)]
    if not fitting:
        raise KdslError(_no_file_fits(path, shape, len(lines), orders))
    strays = [_first_stray(lines, samples, shape) for samples in fitting]
    if strays[0] is not None and None not in strays:
        number, expected, sample = strays[0]
        raise KdslError(
            f"{path}, line {number}: predicted for a sample with the label {expected!r}, but the data file has sample "
            f"{sample.id!r} with {sample.label!r} there; the order of both must be the same"
        )
    samples = fitting[strays.index(None)]
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    for (number, record), sample in zip(lines, samples, strict=True):
        given = record[shape.answer]
        before, answer = seen.setdefault((sample.task, sample.fingerprint), (number, given))
        if answer != given:
            raise KdslError(
                f"{path}, line {number}: another answer than in line {before}, but the data files have the same "
                f"sample {sample.id!r} there; keep one of the two"
            )
        if before == number:
            yield number, {"id": sample.fingerprint, "task": sample.task, "label": label_in(answer)}


def _no_file_fits(path: Path, shape: _Shape, lines: int, orders: Orders) -> str:
    counts = ", ".join(str(len(samples)) for samples in orders) or "no"
    known = sum(map(len, orders)) or 1
    if shape.tool == "ms-swift" and lines and lines % known == 0:
        return (
            f"{path}: {lines} predictions, but the data files hold {known} samples: ms-swift adds to a file that is "
            "there; delete it, and predict again"
        )
    return (
        f"{path}: {lines} predictions of {shape.tool}, but the data files hold {counts} samples; predict a whole data "
        "file, as its lines are told apart by their order alone"
    )


def _first_stray(
    lines: Sequence[tuple[int, dict[str, Any]]], samples: Sequence[Sample], shape: _Shape
) -> tuple[int, str, Sample] | None:
    """The first line whose label is not its sample's; lines and samples without a label fit anything."""
    for (number, record), sample in zip(lines, samples, strict=True):
        label = label_in(str(record.get(shape.truth) or "")).strip()
        if label and sample.label is not None and label != sample.label:
            return number, label, sample
    return None
