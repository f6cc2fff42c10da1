"""Plain records: {id, text or turns: [{role, text}], images, audio, label, task}."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from kdsl.data.dialogue import Waiting, turn_of_text
from kdsl.data.media import AUDIO, IMAGES, MEDIA
from kdsl.data.record import Record, key_names, shown
from kdsl.data.record_media import all_files, files_in
from kdsl.sample import AUDIO_PLACEHOLDER, Sample, Task, Turn

KEYS = frozenset({"id", "copy_of", "text", "turns", "label", "task", *IMAGES.keys, *AUDIO.keys})
UNNAMED_TASK = "samples"
"""Of samples that name no task, where none is given."""
_SAYS = {"role", "text"}
_TURN_KEYS = frozenset({"role", "text", *IMAGES.keys, *AUDIO.keys})


def read_plain(record: Record, tasks: Sequence[Task]) -> Sample | None:
    """The sample of one record; None, noted, when it names a task that is none of `tasks`."""
    task = chosen_task(record, tasks)
    if task is None:
        return None
    sounds, pictures, turns = files_in(record, AUDIO), files_in(record, IMAGES), _turns(record)
    images: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    if sounds or pictures or any([_shows(turn) for turn in turns]):
        of_turns = {sound for turn in turns for sound in turn.audio}
        waiting = (sound for sound in sounds if sound not in of_turns)
        turns = tuple(_with_sounds(turn, waiting) for turn in turns)
        images = all_files(pictures, (image for turn in turns for image in turn.images))
        audio = all_files(sounds, (sound for turn in turns for sound in turn.audio))
    identity = record.identity()
    if task.multi:
        labels = record.labels("label", task.label_names)
        return Sample(identity, task.name, turns, images, labels=labels, audio=audio)
    return Sample(identity, task.name, turns, images, record.label("label", task.label_names), audio=audio)


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
    return tuple([_turn(record, number, turn) for number, turn in enumerate(turns, start=1)])


def _turn(record: Record, number: int, turn: object) -> Turn:
    if isinstance(turn, dict) and turn.keys() == _SAYS and isinstance(text := turn["text"], str):
        # Nearly all turns: what follows would find the same, in several times the time.
        return Turn(record.role(turn["role"]), record.text("", text))
    if not isinstance(turn, dict):
        raise record.error(f'turn {number} is {shown(turn)}; it must be like {{"role": "user", "text": "…"}}')
    inner = record.inner(turn)
    images, audio = (tuple(filter(None, files_in(inner, medium))) for medium in MEDIA)
    for key in ("role", "text"):
        if key not in turn and not (key == "text" and (images or audio)):
            raise record.error(f"the {key} of turn {number} is missing; its keys are {key_names(turn)}")
    text = record.text(f"the text of turn {number}", turn.get("text", ""))
    for key in turn.keys() - _TURN_KEYS:
        record.notes.unused[f"{key} of turns"] += 1
    return Turn(record.role(turn.get("role")), text, images, audio)


def _shows(turn: Turn) -> bool:
    """Whether there may be an image or a sound in it."""
    return bool(turn.images or turn.audio) or AUDIO_PLACEHOLDER in turn.text


def _with_sounds(turn: Turn, waiting: Iterator[str | None]) -> Turn:
    """The turn whose `<audio>` placeholders took its own sounds, and then those of the record that are `waiting`."""
    if AUDIO_PLACEHOLDER not in turn.text:
        return turn
    own = iter(turn.audio)
    taken = turn_of_text(turn.role, turn.text, Waiting(audio=chain(own, waiting)))
    return replace(turn, text=taken.text, audio=(*taken.audio, *own))
