"""The MIRE challenge's records: {id, instruction, input, output, image}, which may name sounds too."""

from collections.abc import Sequence

from kdsl.data.dialogue import CHINESE, END_MARKER, START_MARKER, Waiting, parse_dialogue, speakers_in
from kdsl.data.media import AUDIO, IMAGES
from kdsl.data.plain import chosen_task
from kdsl.data.record import Record
from kdsl.data.record_media import files_in
from kdsl.sample import AUDIO_PLACEHOLDER, Sample, Task

KEYS = frozenset({"id", "copy_of", "instruction", "input", "output", "task", *IMAGES.keys, *AUDIO.keys})


def read_mire(record: Record, tasks: Sequence[Task]) -> Sample | None:
    """The sample of one record; None, noted, when its instruction belongs to none of `tasks`."""
    instruction = record.text("instruction", record.value["instruction"])
    added = record.text("input", record.value.get("input") or "")
    text = f"{instruction}\n{added}" if added else instruction
    task = task_of_instruction(text, tasks) if tasks else chosen_task(record, tasks)
    if task is None:
        kind = "a dialogue" if START_MARKER in text else "no dialogue"
        record.notes.other_tasks[f"instructions with {kind}"] += 1
        return None
    images, audio = files_in(record, IMAGES), files_in(record, AUDIO)
    dialogue = text_between_markers(text, record)
    before = text.partition(START_MARKER)[0].count(AUDIO_PLACEHOLDER)  # what is heard there is not a turn's
    try:
        turns = parse_dialogue(dialogue, Waiting(images, audio[before:]), speakers_in(dialogue, task) or CHINESE)
    except ValueError as error:
        raise record.error(f"the dialogue in the instruction is wrong: {error}") from error
    label = record.label("output", task.label_names)
    shown, heard = (tuple(filter(None, names)) for names in (images, audio))
    return Sample(record.identity(), task.name, turns, shown, label, audio=heard)


def task_of_instruction(instruction: str, tasks: Sequence[Task]) -> Task | None:
    """The task that an instruction asks for.

    That is one whose prompt agrees with it in having dialogue markers or not; of several, or if there is none, the
    first whose labels all stand in the instruction.
    """
    has_dialogue = START_MARKER in instruction
    alike = [task for task in tasks if (START_MARKER in task.prompt) == has_dialogue]
    if len(alike) == 1:
        return alike[0]
    return next((task for task in alike or tasks if all(name in instruction for name in task.label_names)), None)


def text_between_markers(text: str, record: Record) -> str:
    """The dialogue in an instruction, empty where there is none; KdslError for one marker without the other."""
    start, end = text.find(START_MARKER), text.rfind(END_MARKER)
    if start == end == -1:
        return ""
    if start == -1 or end < start:
        raise record.error(
            f"the instruction has one dialogue marker only; it must have {START_MARKER} and {END_MARKER}"
        )
    return text[start + len(START_MARKER) : end]
