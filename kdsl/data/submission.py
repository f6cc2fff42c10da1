"""Predictions as the MIRE challenge's submission: a CSV of the test items, each with its predicted label."""

import csv
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdsl.data.mire import task_of_instruction
from kdsl.data.record import shown
from kdsl.data.writers import unknown_label
from kdsl.errors import KdslError
from kdsl.files import read_text, write_atomically
from kdsl.json_file import read_json, read_jsonl
from kdsl.sample import Task

_log = logging.getLogger(__name__)

PREDICT = "predict"

Labels = dict[str, dict[str | None, "PredictedLabel"]]
"""Id → task (None where the line names none) → what was predicted."""


@dataclass(frozen=True, slots=True)
class PredictedLabel:
    label: str | list[str] | None
    """A list of a task with several labels a sample; None where the decision was left to a person."""
    place: str
    """File and line."""
    record: dict[str, Any]
    """The whole line."""


def write_submission(test_file: Path, predictions: Path, tasks: Sequence[Task], path: Path) -> None:
    """The challenge's CSV (UTF-8 with byte order mark): the columns of `test_file`, then `predict`.

    Of decisions that KDSL handed to a person the likeliest label is taken, with a warning.

    `test_file` is a JSON list or a CSV file with a column `id`; lists are written as JSON. `predictions` holds {"id",
    "label"} a line, and "task" where there are several. Raises KdslError, and writes nothing, for the first item
    without an id or a prediction, for two items or predictions that cannot be told apart, and for a predicted label
    that is none of the item's task.
    """
    labels = _decided(predictions, read_predicted(predictions, tasks))
    rows = _rows(test_file)
    columns = list(dict.fromkeys(key for row in rows for key in row if key != PREDICT))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, PREDICT])
    seen: dict[tuple[str | None, str], int] = {}
    for number, row in enumerate(rows, start=1):
        place = f"{test_file}, element {number}"
        identity, task = _identity(row.get("id")), _task(row, tasks)
        if identity is None:
            raise KdslError(f"{place}: has no id; a submission needs one for every item")
        before = seen.setdefault((task.name if task else None, identity), number)
        if before != number:
            raise KdslError(f"{place}: the id {identity!r} stands in element {before} too; give each item its own")
        label = _label(place, identity, task, labels.get(identity, {}), tasks)
        writer.writerow([*(_cell(row.get(column)) for column in columns), label])
    write_atomically(path, text.getvalue().encode("utf-8-sig", errors="replace"))


def read_predicted(path: Path, tasks: Sequence[Task]) -> Labels:
    """The labels of a predictions file; a label may be null, or a list where a sample may have several. KdslError with
    the line for another shape, an unknown task or label, and for a sample that is predicted twice."""
    by_name = {task.name: task for task in tasks}
    found: Labels = {}
    for number, record in read_jsonl(path):
        place = f"{path}, line {number}"
        identity, name = _identity(record.get("id")), record.get("task")
        if identity is None or "label" not in record:
            raise KdslError(f'{place}: not a prediction; expected {{"id": "1", "label": "…"}}')
        if name is not None and name not in list(by_name):
            raise KdslError(f"{place}: the task {shown(name)} is none of the project's ({', '.join(by_name)})")
        possible = tasks if name is None else [by_name[name]]
        label = record["label"]
        if (problem := wrong_label(label, possible)) is not None:
            raise KdslError(f"{place}: sample {identity!r}: {problem}")
        if name in found.setdefault(identity, {}):
            raise KdslError(f"{place}: id {identity!r} is predicted twice; keep one line an id")
        found[identity][name] = PredictedLabel(label, place, record)
    return found


def wrong_label(label: Any, tasks: Sequence[Task]) -> str | None:
    """What is wrong with a predicted label, or a list of them, that fits none of `tasks`; None where it fits."""
    if label is None:
        return None
    fitting = [task for task in tasks if task.multi == isinstance(label, list)]
    if not fitting and tasks[0].multi:
        return f"the label is {shown(label)}, but a sample of {tasks[0].name} may have several; write a list of them"
    for each in label if isinstance(label, list) and fitting else [label]:
        if not any(each in task.label_names for task in fitting):
            return unknown_label(each, fitting or tasks)
    return None


def _decided(path: Path, labels: Labels) -> Labels:
    """With the likeliest label of every decision that was handed to a person."""
    handed_over = 0
    for of_id in labels.values():
        for name, predicted in of_id.items():
            decision = predicted.record.get("decision")
            likeliest = decision.get("label_if_decided") if isinstance(decision, dict) else None
            if predicted.label is None and likeliest is not None:
                of_id[name] = replace(predicted, label=likeliest)
                handed_over += 1
    if handed_over:
        _log.warning("%s: %d decisions were handed to a person; the likeliest label is taken", path, handed_over)
    return labels


def _label(
    place: str, identity: str, task: Task | None, found: dict[str | None, PredictedLabel], tasks: Sequence[Task]
) -> str:
    """The label of an item, of what was `found` for its id; `task` is None where the item does not tell it."""
    if task is None and len(found) > 1:
        names = " and ".join(name or "a task that is not named" for name in found)
        raise KdslError(
            f'{place}: id {identity!r} is predicted for {names}, and the item does not say which it is of; add "task"'
        )
    predicted = next(iter(found.values()), None) if task is None else found.get(task.name, found.get(None))
    if predicted is None:
        of = "" if task is None else f" of {task.name}"
        raise KdslError(f"{place}: no prediction for id {identity!r}{of}; predict this file first")
    possible = tasks if task is None else [task]
    if not isinstance(predicted.label, str) or not any(predicted.label in each.label_names for each in possible):
        raise KdslError(f"{predicted.place}: sample {identity!r}: {unknown_label(predicted.label, possible)}")
    return predicted.label


def _task(row: dict[str, Any], tasks: Sequence[Task]) -> Task | None:
    """The task of an item, as far as it can be told."""
    named = next((task for task in tasks if task.name == row.get("task")), None)
    if named is not None or len(tasks) == 1:
        return named or tasks[0]
    instruction = row.get("instruction")
    return task_of_instruction(f"{instruction}\n{row.get('input') or ''}", tasks) if instruction else None


def _identity(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _rows(test_file: Path) -> list[dict[str, Any]]:
    if test_file.suffix.lower() == ".csv":
        rows: Any = list(csv.DictReader(io.StringIO(read_text(test_file))))
    else:
        rows = read_json(test_file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise KdslError(f'{test_file}: not a test file; expected a JSON list like [{{"id": "1", …}}] or a CSV file')
    if not rows:
        raise KdslError(f"{test_file}: holds no samples")
    return [{key: value for key, value in row.items() if isinstance(key, str)} for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
