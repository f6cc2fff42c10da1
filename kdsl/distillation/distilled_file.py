"""The file of samples that a teacher labelled (`data.distilled`): plain samples with targets and their origin."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.data.forms import RecordReader
from kdsl.data.notes import Notes
from kdsl.data.readers import iterate_records
from kdsl.data.record import NO_FOLDERS, Record, record_at
from kdsl.data.values import Value
from kdsl.data.writers import unknown_label
from kdsl.json_file import write_jsonl
from kdsl.result_shards import records_at
from kdsl.sample import Sample, SampleKey, Task

_DIGITS = 6
_HEAD = 1000
_KEYS = frozenset({"targets", "teacher", "confidence", "round"})


def targets_record(labels: Sequence[str], shares: NDArray[np.float64]) -> dict[str, float]:
    """Label → its share, the largest first; those that round to nothing are left out."""
    order = np.argsort(-shares, kind="stable")
    rounded = {labels[i]: round(float(shares[i]), _DIGITS) for i in order}
    return {label: share for label, share in rounded.items() if share > 0}


def write_distilled(path: Path, records: Iterable[dict[str, Any]]) -> None:
    write_jsonl(path, records)


def read_distilled(path: Path, tasks: Sequence[Task]) -> dict[str, tuple[list[Sample], NDArray[np.float64]]]:
    """Task → its samples, and their shares of the labels [n_samples, n_labels], whose rows sum to 1.

    `path` may be a folder of results. A line without targets counts as its label alone. Raises KdslError with the
    line for what is no sample, and for labels and numbers that cannot be.
    """
    if next(records_at(path), None) is None:
        return {}  # nothing was kept
    by_name = {task.name: task for task in tasks}
    found: dict[str, tuple[list[Sample], list[NDArray[np.float64]]]] = {}
    seen: dict[SampleKey, str] = {}
    for record, sample in _records(path, tasks):
        if sample.key in seen:
            raise record.error(f"sample {sample.id!r} stands in {seen[sample.key]} too; keep one")
        seen[sample.key] = record.where
        samples, shares = found.setdefault(sample.task, ([], []))
        samples.append(sample)
        shares.append(_shares(record, sample, by_name[sample.task]))
    return {name: (samples, np.stack(shares)) for name, (samples, shares) in found.items()}


def _records(path: Path, tasks: Sequence[Task]) -> Iterator[tuple[Record, Sample]]:
    if not os.path.isdir(path):
        yield from iterate_records(path, tasks, more_keys=_KEYS)
        return
    notes, found = Notes(), []
    for place, value in records_at(path):
        shard, _, row = place.rpartition(", ")
        found.append(record_at(Path(shard), Value(row, row.removeprefix("row "), value), notes, {}, NO_FOLDERS))
    reader = RecordReader(found[:_HEAD], tasks)
    for record in found:
        if (sample := reader.read(record, _KEYS)) is not None:
            yield record, replace(sample, copy_of=record.copy_of()) if "copy_of" in record.value else sample
    notes.tell(path)


def _shares(record: Record, sample: Sample, task: Task) -> NDArray[np.float64]:
    if sample.label is not None and sample.label not in task.label_names:
        raise record.error(unknown_label(sample.label, [task]))
    targets = record.value.get("targets")
    if targets is None:
        if sample.label is None:
            raise record.error("has neither targets nor a label; add one, or remove the line")
        targets = {sample.label: 1.0}
    if not isinstance(targets, dict) or not targets:
        raise record.error(f'targets is {targets!r}; it must be like {{"label": 0.9}}')
    shares = np.zeros(len(task.labels))
    for label, share in targets.items():
        if label not in task.label_names:
            raise record.error(f"{label!r} is none of the labels of {task.name}; correct or remove it")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise record.error(f"the target of {label!r} is {share!r}; it must be from 0 to 1")
        shares[task.label_names.index(label)] = share
    if shares.sum() <= 0:
        raise record.error("all targets are 0; give the label's a larger number")
    return shares / shares.sum()
