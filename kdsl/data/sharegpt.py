"""ShareGPT records, as LLaMA-Factory takes them: {messages or conversations: [{role, content}], images}."""

from collections.abc import Iterator, Sequence

from kdsl.data.dialogue import START_MARKER, dialogue_in_prompt, parse_dialogue, speakers_in, take_images
from kdsl.data.messages import Message, read_messages
from kdsl.data.mire import task_of_instruction, text_between_markers
from kdsl.data.plain import chosen_task
from kdsl.data.record import Record
from kdsl.sample import IMAGE_PLACEHOLDER, Sample, Task, Turn

KEYS = frozenset({"id", "copy_of", "messages", "conversations", "images", "image", "label", "task"})
QUERY_KEYS = frozenset({"id", "copy_of", "query", "response", "history", "images", "image", "label", "task"})
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
    of_messages, images = _images(record, messages)
    turns = _turns(record, task, messages, only, iter(of_messages))
    return Sample(record.identity(), task.name, turns, images, label)


def _images(record: Record, messages: Sequence[Message]) -> tuple[list[str | None], tuple[str, ...]]:
    """The image of each `<image>`, its own or the next one that the record lists; and all of the sample."""
    listed = iter(record.images("images", "image"))
    own = {image for message in messages for image in message.images if image}
    placed = [next(listed, None) if i is None else i for message in messages for i in message.images]
    rest = [image for image in listed if image not in own]
    return placed, tuple(image for image in [*placed, *rest] if image)


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
    record: Record, task: Task, messages: Sequence[Message], only: str | None, remaining: Iterator[str | None]
) -> tuple[Turn, ...]:
    if only is None:
        return tuple(take_images(message.role, message.text, remaining) for message in messages)
    dialogue = dialogue_in_prompt(task, only)
    if dialogue is None:
        is_instruction = START_MARKER in only or (task.labels and all(name in only for name in task.label_names))
        dialogue = text_between_markers(only, record) if is_instruction else only
    if not dialogue.strip():
        return ()
    # The images that a prompt shows before the dialogue are not those of a turn.
    for _ in range(only[: only.find(dialogue)].count(IMAGE_PLACEHOLDER)):
        next(remaining, None)
    speakers = speakers_in(dialogue, task)
    if speakers is None:
        return (take_images("user", dialogue, remaining),)
    try:
        return parse_dialogue(dialogue, remaining, speakers)
    except ValueError as error:
        raise record.error(f"the dialogue in the user message is wrong: {error}") from error
