"""Plain records: {id, text or turns: [{role, text}], images, label, task}."""

from collections.abc import Sequence

from kdsl.data.record import Record, key_names, shown
from kdsl.sample import Sample, Task, Turn

KEYS = frozenset({"id", "copy_of", "text", "turns", "images", "image", "label", "task"})
UNNAMED_TASK = "samples"
"""Of samples that name no task, where none is given."""
_TURN_KEYS = frozenset({"role", "text", "images", "image"})


def read_plain(record: Record, tasks: Sequence[Task]) -> Sample | None:
    """The sample of one record; None, noted, when it names a task that is none of `tasks`."""
    task = chosen_task(record, tasks)
    if task is None:
        return None
    turns = _turns(record)
    listed = [image for image in record.images("images", "image") if image]
    of_turns = [image for turn in turns for image in turn.images]
    images = (*listed, *(image for image in of_turns if image not in listed))
    if task.multi:
        return Sample(record.identity(), task.name, turns, images, labels=record.labels("label", task.label_names))
    return Sample(record.identity(), task.name, turns, images, record.label("label", task.label_names))


def chosen_task(record: Record, tasks: Sequence[Task]) -> Task | None:
    """The task that the record names, or the only one there is; None, noted, for a task that is none of `tasks`.

    Without any `tasks` it is whatever the record says.
    """
    name = record.task()
    if not tasks:
        return Task(name or UNNAMED_TASK, ())
    if name is None:
        if len(tasks) == 1:
            return tasks[0]
        names = " or ".join(f'"task": "{task.name}"' for task in tasks)
        raise record.error(f"the project has {len(tasks)} tasks and this sample does not say which; add {names}")
    task = next((task for task in tasks if task.name == name), None)
    if task is None:
        record.notes.other_tasks[name] += 1
    return task


def _turns(record: Record) -> tuple[Turn, ...]:
    if record.value.get("turns") is None:
        return () if record.value.get("text") is None else (Turn("user", record.text("text", record.value["text"])),)
    if record.value.get("text") is not None:
        raise record.error("it has both text and turns; keep one of the two")
    turns = record.value["turns"]
    if not isinstance(turns, list):
        raise record.error(f'turns is {shown(turns)}; it must be a list like [{{"role": "user", "text": "…"}}]')
    return tuple(_turn(record, number, turn) for number, turn in enumerate(turns, start=1))


def _turn(record: Record, number: int, turn: object) -> Turn:
    if not isinstance(turn, dict):
        raise record.error(f'turn {number} is {shown(turn)}; it must be like {{"role": "user", "text": "…"}}')
    for key in ("role", "text"):
        if key not in turn:
            raise record.error(f"the {key} of turn {number} is missing; its keys are {key_names(turn)}")
    text = record.text(f"the text of turn {number}", turn["text"])
    for key in turn.keys() - _TURN_KEYS:
        record.notes.unused[f"{key} of turns"] += 1
    shows = "images" in turn or "image" in turn
    images = record.inner(turn).images("images", "image") if shows else ()
    return Turn(record.role(turn.get("role")), text, tuple(image for image in images if image))
