"""The file of samples that a teacher labelled (`data.distilled`): plain samples with targets and their origin."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.data.readers import read_samples
from kdsl.errors import KdslError
from kdsl.files import read_jsonl, write_jsonl
from kdsl.sample import Sample, Task

_DIGITS = 6


def sample_record(sample: Sample, label: str) -> dict[str, Any]:
    """A sample in the plain format (docs/data.md)."""
    turns = [
        {"role": turn.role, "text": turn.text, **({"images": list(turn.images)} if turn.images else {})}
        for turn in sample.turns
    ]
    return {"id": sample.id, "task": sample.task, "turns": turns, "images": list(sample.images), "label": label}


def targets_record(labels: Sequence[str], shares: NDArray[np.float64]) -> dict[str, float]:
    """Label → its share, the largest first; those that round to nothing are left out."""
    order = np.argsort(-shares, kind="stable")
    rounded = {labels[i]: round(float(shares[i]), _DIGITS) for i in order}
    return {label: share for label, share in rounded.items() if share > 0}


def write_distilled(path: Path, records: Iterable[dict[str, Any]]) -> None:
    write_jsonl(path, records)


def read_distilled(path: Path, tasks: Sequence[Task]) -> dict[str, tuple[list[Sample], NDArray[np.float64]]]:
    """Task → its samples, and their shares of the labels [n_samples, n_labels], whose rows sum to 1.

    A line without targets counts as its label alone. Raises KdslError with the line for what is no sample, and for
    labels and numbers that cannot be.
    """
    by_name = {task.name: task for task in tasks}
    lines = list(read_jsonl(path))
    if not lines:
        return {}
    found: dict[str, tuple[list[Sample], list[NDArray[np.float64]]]] = {}
    samples = {(sample.task, sample.id): sample for sample in read_samples(path, tasks)}
    seen: dict[tuple[str, str], int] = {}
    for number, record in lines:
        task = by_name.get(str(record.get("task", tasks[0].name)))
        identity = str(record.get("id", number))
        if task is None or (task.name, identity) not in samples:
            continue
        if (task.name, identity) in seen:
            first = seen[task.name, identity]
            raise KdslError(f"{path}, line {number}: sample {identity!r} stands in line {first} too; keep one")
        seen[task.name, identity] = number
        of_task = found.setdefault(task.name, ([], []))
        of_task[0].append(samples[task.name, identity])
        of_task[1].append(_shares(path, number, record, task))
    return {name: (of_task, np.stack(shares)) for name, (of_task, shares) in found.items()}


def _shares(path: Path, number: int, record: dict[str, Any], task: Task) -> NDArray[np.float64]:
    targets = record.get("targets")
    if targets is None:
        targets = {record.get("label"): 1.0}
    if not isinstance(targets, dict) or not targets:
        raise KdslError(f'{path}, line {number}: targets is {targets!r}; it must be like {{"label": 0.9}}')
    shares = np.zeros(len(task.labels))
    for label, share in targets.items():
        if label not in task.label_names:
            raise KdslError(
                f"{path}, line {number}: {label!r} is none of the labels of {task.name}; correct or remove it"
            )
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise KdslError(f"{path}, line {number}: the target of {label!r} is {share!r}; it must be from 0 to 1")
        shares[task.label_names.index(label)] = share
    if shares.sum() <= 0:
        raise KdslError(f"{path}, line {number}: all targets are 0; give the label's a larger number")
    return shares / shares.sum()
