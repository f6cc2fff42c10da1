"""Writing samples as plain records or ShareGPT messages, and predictions as the MIRE challenge's submission."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdsl.data.dialogue import fill_prompt
from kdsl.errors import KdslError
from kdsl.files import read_json, read_jsonl, read_text, write_atomically
from kdsl.sample import Sample, Task

PREDICT = "predict"


def plain_record(sample: Sample) -> dict[str, Any]:
    """A sample in the plain format (docs/data.md)."""
    turns = [
        {"role": turn.role, "text": turn.text, **({"images": list(turn.images)} if turn.images else {})}
        for turn in sample.turns
    ]
    record = {"id": sample.id, "task": sample.task, "turns": turns, "images": list(sample.images)}
    return {**record, "label": sample.label, **_origin(sample)}


def write_sharegpt(samples: Sequence[Sample], tasks: Sequence[Task], path: Path) -> None:
    """A JSON list of {id, task, messages, images}: the filled prompt, and the label, if any, as the answer.

    Every message holds as many `<image>` as the sample has images, as LLaMA-Factory demands. What a prompt leaves out,
    such as the turns where it has no `{dialogue}`, is not written. Raises KdslError when `path` cannot be written.
    """
    by_name = {task.name: task for task in tasks}
    records = []
    for sample in samples:
        messages = [{"role": "user", "content": fill_prompt(by_name[sample.task], sample)}]
        if sample.label is not None:
            messages.append({"role": "assistant", "content": sample.label})
        record = {"id": sample.id, "task": sample.task, "messages": messages, "images": list(sample.images)}
        records.append({**record, **_origin(sample)})
    write_atomically(path, json.dumps(records, ensure_ascii=False, indent=1) + "\n")


def write_submission(test_file: Path, predictions: Mapping[str, str], path: Path) -> None:
    """The challenge's CSV (UTF-8 with byte order mark): the columns of `test_file`, then `predict`.

    `test_file` is a JSON list or a CSV file with a column `id`; lists are written as JSON. Raises KdslError for the
    first item without an id or without a prediction.
    """
    rows = _rows(test_file)
    columns = list(dict.fromkeys(key for row in rows for key in row if key != PREDICT))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, PREDICT])
    for number, row in enumerate(rows, start=1):
        if row.get("id") in (None, ""):
            raise KdslError(f"{test_file}, element {number}: has no id; a submission needs one for every item")
        label = predictions.get(str(row["id"]))
        if label is None:
            raise KdslError(
                f"{test_file}, element {number}: no prediction for id {str(row['id'])!r}; predict this file first"
            )
        writer.writerow([*(_cell(row.get(column)) for column in columns), label])
    write_atomically(path, text.getvalue().encode("utf-8-sig", errors="replace"))


def read_predicted_labels(path: Path) -> dict[str, str]:
    """id → label of a predictions file ({"id", "label"} a line); KdslError for another shape or an id given twice."""
    labels: dict[str, str] = {}
    for number, record in read_jsonl(path):
        identity, label = record.get("id"), record.get("label")
        if not isinstance(identity, str) or not isinstance(label, str):
            raise KdslError(f'{path}, line {number}: not a prediction; expected {{"id": "1", "label": "…"}}')
        if identity in labels:
            raise KdslError(f"{path}, line {number}: id {identity!r} is predicted twice; keep one line an id")
        labels[identity] = label
    return labels


def _origin(sample: Sample) -> dict[str, str]:
    return {} if sample.copy_of is None else {"copy_of": sample.copy_of}


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
