"""Predictions as LLaMA-Factory writes them: `generated_predictions.jsonl`, without ids, in the order of its data."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.json_file import read_jsonl
from kdsl.sample import Sample

Orders = Sequence[Sequence[Sample]]
"""The samples of each data file that may have been predicted, in the order of the file."""


def is_llama_factory(path: Path) -> bool:
    """Whether the file's first line is {"prompt", "predict", "label"}, without an id."""
    first = next(read_jsonl(path), None)
    return first is not None and "predict" in first[1] and "id" not in first[1]


def with_ids(path: Path, orders: Orders) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, {"id", "task", "label"}) for every line, as KDSL's own prediction files have them, but the id is the
    sample's fingerprint: two data files may number their samples alike.

    The line count tells which of the data files was predicted, or that all were, one after the other; their labels
    must be those that stand beside the predictions. Raises KdslError where no file fits, and for a sample that has two
    different answers.
    """
    lines = list(read_jsonl(path))
    for number, record in lines:
        if not isinstance(record.get("predict"), str):
            raise KdslError(
                f'{path}, line {number}: not a prediction of LLaMA-Factory; expected {{"prompt", "predict", "label"}}'
            )
    whole = [*orders, [*chain.from_iterable(orders)]] if len(orders) > 1 else orders
    fitting = [samples for samples in whole if len(samples) == len(lines)]
    if not fitting:
        counts = ", ".join(str(len(samples)) for samples in orders) or "no"
        raise KdslError(
            f"{path}: {len(lines)} predictions of LLaMA-Factory, but the data files hold {counts} samples; predict a "
            "whole data file, as its lines are told apart by their order alone"
        )
    strays = [_first_stray(lines, samples) for samples in fitting]
    if strays[0] is not None and None not in strays:
        number, expected, sample = strays[0]
        raise KdslError(
            f"{path}, line {number}: predicted for a sample with the label {expected!r}, but the data file has sample "
            f"{sample.id!r} with {sample.label!r} there; the order of both must be the same"
        )
    samples = fitting[strays.index(None)]
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    for (number, record), sample in zip(lines, samples, strict=True):
        before, answer = seen.setdefault((sample.task, sample.fingerprint), (number, record["predict"]))
        if answer != record["predict"]:
            raise KdslError(
                f"{path}, line {number}: another answer than in line {before}, but the data files have the same "
                f"sample {sample.id!r} there; keep one of the two"
            )
        if before == number:
            yield number, {"id": sample.fingerprint, "task": sample.task, "label": answer}


def _first_stray(
    lines: Sequence[tuple[int, dict[str, Any]]], samples: Sequence[Sample]
) -> tuple[int, str, Sample] | None:
    """The first line whose label is not its sample's; lines and samples without a label fit anything."""
    for (number, record), sample in zip(lines, samples, strict=True):
        label = str(record.get("label") or "").strip()
        if label and sample.label is not None and label != sample.label:
            return number, label, sample
    return None
