"""Samples as plain records and as messages; see `kdsl.data.conversion` for the forms of other tools."""

from collections.abc import Sequence
from typing import Any

from kdsl.data.dialogue import fill_prompt
from kdsl.data.record import shown
from kdsl.sample import Sample, Task

_NAMED = 5
"""Labels that are named where one is wrong."""


def plain_record(sample: Sample) -> dict[str, Any]:
    """A sample in the plain format (docs/data.md)."""
    turns = [
        {
            "role": turn.role,
            "text": turn.text,
            **({"images": list(turn.images)} if turn.images else {}),
            **({"audio": list(turn.audio)} if turn.audio else {}),
        }
        for turn in sample.turns
    ]
    record: dict[str, Any] = {"id": sample.id, "task": sample.task, "turns": turns, "images": list(sample.images)}
    if sample.audio:
        record["audio"] = list(sample.audio)
    return {**record, "label": sample.label if sample.labels is None else list(sample.labels), **origin(sample)}


def said_in_prompt(sample: Sample, task: Task, audio: bool = False) -> list[dict[str, str]]:
    """Messages with the filled prompt of the user, and the label, if any, as the answer of the assistant.

    With `audio` the prompt has an `<audio>` for each of the sample's sounds.

    What a prompt leaves out, such as the turns where it has no `{dialogue}`, is not among them.
    """
    asked = {"role": "user", "content": fill_prompt(task, sample, audio)}
    return [asked] if sample.label is None else [asked, {"role": "assistant", "content": sample.label}]


def unknown_label(label: Any, tasks: Sequence[Task]) -> str:
    """What is wrong with a label that none of `tasks` has, for a sentence that begins with its place."""
    names = [name for task in tasks for name in task.label_names]
    if isinstance(label, str) and label.strip() in names:
        right = f"write {label.strip()!r}, without spaces around it"
    else:
        right = f"write one of {', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''}"
    of = " or ".join(task.name for task in tasks)
    return f"the label {'null' if label is None else shown(label)} is none of the labels of {of}; {right}"


def origin(sample: Sample) -> dict[str, str]:
    """The key of a changed copy that names its original; nothing for any other sample."""
    return {} if sample.copy_of is None else {"copy_of": sample.copy_of}
