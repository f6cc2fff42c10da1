"""ShareGPT records, as LLaMA-Factory takes them: {messages or conversations: [{role, content}], images}."""

from collections.abc import Iterator, Sequence
from typing import Any

from kdsl.data.dialogue import START_MARKER, dialogue_in_prompt, parse_dialogue, speakers_in, take_images
from kdsl.data.mire import task_of_instruction, text_between_markers
from kdsl.data.plain import chosen_task
from kdsl.data.record import IMAGE_PLACEHOLDER, Record, shown
from kdsl.sample import Role, Sample, Task, Turn


def read_sharegpt(record: Record, tasks: Sequence[Task]) -> Sample | None:
    """The sample of one record; None, noted, when it belongs to none of `tasks`.

    The label is the key `label` where there is one. Otherwise it is the assistant's last message if that names a label
    or answers the only user message; any other last message is a turn of the dialogue. System messages are left out.
    A single user message that is a filled prompt or an instruction is taken apart: only its dialogue becomes turns.
    """
    messages = _messages(record)
    names = {name for task in tasks for name in task.label_names}
    label = record.label("label")
    if "label" not in record.value and messages and messages[-1][0] == "agent":
        answer = messages[-1][1].strip()
        if answer in names or [role for role, _ in messages] == ["user", "agent"]:
            label = answer or None
            messages = messages[:-1]
    only = messages[0][1] if len(messages) == 1 and messages[0][0] == "user" else None
    task = _task(record, tasks, only, label)
    if task is None:
        return None
    images = record.images("images", "image")
    return Sample(record.identity(), task.name, _turns(record, task, messages, only, images), images, label)


def _messages(record: Record) -> list[tuple[Role, str]]:
    key = "messages" if "messages" in record.value else "conversations"
    value = record.value[key]
    if not isinstance(value, list):
        raise record.error(f'{key} is {shown(value)}; it must be a list like [{{"role": "user", "content": "…"}}]')
    messages = []
    for number, message in enumerate(value, start=1):
        if not isinstance(message, dict):
            raise record.error(
                f'message {number} is {shown(message)}; it must be like {{"role": "user", "content": "…"}}'
            )
        role = message.get("role", message.get("from"))
        if role == "system":
            continue
        content = message.get("content", message.get("value"))
        messages.append((record.role(role), record.text(f"the content of message {number}", _joined(content))))
    return messages


def _joined(content: Any) -> Any:
    """The text of a message; of a list of parts, as chat APIs write them, with `<image>` for each image."""
    if not isinstance(content, list):
        return content
    parts = [
        IMAGE_PLACEHOLDER if isinstance(part, dict) and "image" in str(part.get("type")) else
        part.get("text") if isinstance(part, dict) else None
        for part in content
    ]  # fmt: skip
    return content if any(not isinstance(part, str) for part in parts) else "".join(parts)


def _task(record: Record, tasks: Sequence[Task], only: str | None, label: str | None) -> Task | None:
    if record.task() is not None or len(tasks) == 1:
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
    record: Record, task: Task, messages: list[tuple[Role, str]], only: str | None, images: tuple[str, ...]
) -> tuple[Turn, ...]:
    remaining: Iterator[str] = iter(images)
    if only is None:
        return tuple(take_images(role, text, remaining) for role, text in messages)
    dialogue = dialogue_in_prompt(task, only)
    if dialogue is None:
        is_instruction = START_MARKER in only or all(name in only for name in task.label_names)
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
