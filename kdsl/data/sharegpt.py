"""ShareGPT records, as LLaMA-Factory takes them: {messages or conversations: [{role, content}], images, audios}."""

from collections.abc import Sequence

from kdsl.data.dialogue import START_MARKER, Waiting, dialogue_in_prompt, parse_dialogue, speakers_in, turn_of_text
from kdsl.data.media import AUDIO, IMAGES, MEDIA, Medium
from kdsl.data.messages import Message, read_messages
from kdsl.data.mire import task_of_instruction, text_between_markers
from kdsl.data.plain import chosen_task
from kdsl.data.record import Record
from kdsl.data.record_media import files_in
from kdsl.sample import Sample, Task, Turn

_KEYS = frozenset({"id", "copy_of", "label", "task", *IMAGES.keys, *AUDIO.keys})
KEYS = _KEYS | {"messages", "conversations"}
QUERY_KEYS = _KEYS | {"query", "response", "history"}
"""Of ms-swift's older form: one question, its answer, and the pairs of both that went before."""


def read_sharegpt(record: Record, tasks: Sequence[Task]) -> Sample | None:
    """The sample of one record; None, noted, when it belongs to none of `tasks`.

    The label is the key `label` where there is one. Otherwise it is the assistant's last message if that names a label
    or answers the only user message; any other last message is a turn of the dialogue, unless it is empty or says the
    label again. System messages and calls of tools are left out, noted. A single user message that is a filled prompt
    or an instruction is taken apart: only its dialogue becomes turns.
    """
    messages = read_messages(record)
    names = [name for task in tasks for name in task.label_names]
    label = record.label("label", names)
    if messages and messages[-1].role == "agent":
        answer = messages[-1].text.strip()
        answers_only = [message.role for message in messages] == ["user", "agent"]
        if answer in ("", label) or (label is None and (answer in names or answers_only)):
            label = label or answer or None
            messages = messages[:-1]
    only = messages[0].text if len(messages) == 1 and messages[0].role == "user" else None
    task = _task(record, tasks, only, label)
    if task is None:
        return None
    (of_messages, images), (heard, audio) = (_files(record, messages, medium) for medium in MEDIA)
    turns = _turns(record, task, messages, only, Waiting(of_messages, heard))
    return Sample(record.identity(), task.name, turns, images, label, audio=audio)


def _files(record: Record, messages: Sequence[Message], medium: Medium) -> tuple[list[str | None], tuple[str, ...]]:
    """The file of each placeholder, its own or the next one that the record lists; and all of the sample."""
    listed = iter(files_in(record, medium))
    of_messages = [file for message in messages for file in message.files[medium]]
    placed = [next(listed, None) if file is None else file for file in of_messages]
    rest = [file for file in listed if file not in of_messages]
    return placed, tuple(file for file in [*placed, *rest] if file)


def _task(record: Record, tasks: Sequence[Task], only: str | None, label: str | None) -> Task | None:
    if record.task() is not None or len(tasks) <= 1:
        return chosen_task(record, tasks)
    if only is not None:
        prompted = [task for task in tasks if dialogue_in_prompt(task, only) is not None]
        if prompted:
            return prompted[0]
        asking = [task for task in tasks if all(name in only for name in task.label_names)]
        task = task_of_instruction(only, asking or tasks) if asking or START_MARKER in only else None
        if task is not None:
            return task
    with_label = [task for task in tasks if label in task.label_names]
    if len(with_label) == 1:
        return with_label[0]
    return chosen_task(record, tasks)


def _turns(
    record: Record, task: Task, messages: Sequence[Message], only: str | None, waiting: Waiting
) -> tuple[Turn, ...]:
    if only is None:
        return tuple(turn_of_text(message.role, message.text, waiting) for message in messages)
    dialogue = dialogue_in_prompt(task, only)
    if dialogue is None:
        is_instruction = START_MARKER in only or (task.labels and all(name in only for name in task.label_names))
        dialogue = text_between_markers(only, record) if is_instruction else only
    if not dialogue.strip():
        return ()
    # What a prompt shows before the dialogue is not a turn's.
    waiting.pass_over(only[: only.find(dialogue)])
    speakers = speakers_in(dialogue, task)
    if speakers is None:
        return (turn_of_text("user", dialogue, waiting),)
    try:
        return parse_dialogue(dialogue, waiting, speakers)
    except ValueError as error:
        raise record.error(f"the dialogue in the user message is wrong: {error}") from error
