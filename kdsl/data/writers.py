"""Writing samples as plain records or ShareGPT messages."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdsl.data.dialogue import fill_prompt
from kdsl.data.record import shown
from kdsl.files import write_atomically
from kdsl.sample import Sample, Task

_NAMED = 5
"""Labels that are named where one is wrong."""


def plain_record(sample: Sample) -> dict[str, Any]:
    """A sample in the plain format (docs/data.md)."""
    turns = [
        {"role": turn.role, "text": turn.text, **({"images": list(turn.images)} if turn.images else {})}
        for turn in sample.turns
    ]
    record = {"id": sample.id, "task": sample.task, "turns": turns, "images": list(sample.images)}
    return {**record, "label": sample.label if sample.labels is None else list(sample.labels), **_origin(sample)}


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


def unknown_label(label: Any, tasks: Sequence[Task]) -> str:
    """What is wrong with a label that none of `tasks` has, for a sentence that begins with its place."""
    names = [name for task in tasks for name in task.label_names]
    if isinstance(label, str) and label.strip() in names:
        right = f"write {label.strip()!r}, without spaces around it"
    else:
        right = f"write one of {', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''}"
    of = " or ".join(task.name for task in tasks)
    return f"the label {'null' if label is None else shown(label)} is none of the labels of {of}; {right}"


def _origin(sample: Sample) -> dict[str, str]:
    return {} if sample.copy_of is None else {"copy_of": sample.copy_of}
