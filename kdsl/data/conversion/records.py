"""One record for each sample, as each tool's own documentation describes it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from kdsl.data.conversion.item import Item, as_json
from kdsl.data.dialogue import END_MARKER, START_MARKER, dialogue_text, fill_prompt, speakers_of
from kdsl.data.writers import origin, plain_record, said_in_prompt
from kdsl.language import in_chinese
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER

_LABELS = ("label", "predicted", "label_without_rules")
"""Columns that hold one label or several."""
MODEL = "kdsl"
"""Who predicts, for tools that keep the predictions of several models apart."""


def plain(item: Item) -> dict[str, Any]:
    """KDSL's own form (docs/data.md), with what was predicted."""
    return {**plain_record(item.sample), **_predicted(item)}


def row(item: Item) -> dict[str, Any]:
    """A row of a table: a text stands as such, a dialogue as its turns, and several labels as JSON in one cell."""
    record = plain_record(item.sample)
    said: dict[str, Any] = {"text": None, "turns": record["turns"]}
    if item.is_text:
        said = {"text": item.sample.turns[0].text if item.sample.turns else None, "turns": None}
    given = {"id": item.sample.id, "task": item.sample.task, **said, "images": record["images"]}
    given["audio"] = list(item.sample.audio)
    for_people = {} if item.is_text or item.predicted is None else {"dialogue": item.text}
    record = {**given, "label": as_json(item.sample.answer), **origin(item.sample), **for_people, **_predicted(item)}
    several = [key for key in _LABELS if isinstance(record.get(key), list)]
    return {**record, **{key: json.dumps(record[key], ensure_ascii=False) for key in several}}


def messages(item: Item) -> dict[str, Any]:
    """LLaMA-Factory's and ms-swift's: the filled prompt, the label as the answer, and a placeholder for each image and
    sound."""
    said = said_in_prompt(item.sample, item.task, audio=True)
    record = {"id": item.sample.id, "task": item.sample.task, "messages": said}
    return {**record, "images": list(item.sample.images), **_audios(item), **origin(item.sample)}


def openai(item: Item) -> dict[str, Any]:
    """Chat Completions' `messages`; images are parts of the user's message, where the prompt shows them."""
    said = said_in_prompt(item.sample, item.task)
    if item.sample.images:
        waiting = iter(item.sample.images)
        parts: list[dict[str, Any]] = []
        for piece in re.split(f"({IMAGE_PLACEHOLDER})", said[0]["content"]):
            if piece == IMAGE_PLACEHOLDER:
                parts.append({"type": "image_url", "image_url": {"url": next(waiting)}})
            elif piece:
                parts.append({"type": "text", "text": piece})
        return {"messages": [{"role": "user", "content": parts}, *said[1:]]}
    return {"messages": said}


def alpaca(item: Item) -> dict[str, Any]:
    """Stanford Alpaca's, with LLaMA-Factory's `images` and `audios`: one instruction for all samples of a task, what
    is said as the input, the label as the output."""
    names = ", ".join(item.task.label_names)
    instruction = f"判断下面的内容属于哪一类：{names}" if in_chinese(item.task) else f"Which label fits? {names}"
    record: dict[str, Any] = {"id": item.sample.id, "task": item.sample.task, "instruction": instruction}
    placeholders = IMAGE_PLACEHOLDER * len(item.sample.images) + AUDIO_PLACEHOLDER * len(item.sample.audio)
    record["input"] = placeholders + item.text
    record["output"] = item.sample.label or ""
    return {**record, **({"images": list(item.sample.images)} if item.sample.images else {}), **_audios(item)}


def _audios(item: Item) -> dict[str, Any]:
    """What LLaMA-Factory and ms-swift call the sounds of a sample, where there are any."""
    return {"audios": list(item.sample.audio)} if item.sample.audio else {}


def mire(item: Item) -> dict[str, Any]:
    """The challenge's: the dialogue stands in the instruction, between its markers; beside it, sounds as `audio`."""
    task, sample = item.task, item.sample
    instruction = fill_prompt(task, sample, audio=True)
    if START_MARKER not in task.prompt and sample.turns:
        dialogue = dialogue_text(sample.turns, speakers_of(task), audio=True)
        instruction = f"{', '.join(task.label_names)}\n{START_MARKER}\n{dialogue}\n{END_MARKER}"
    record = {"id": sample.id, "instruction": instruction, "input": "", "output": sample.label or ""}
    heard = {"audio": list(sample.audio)} if sample.audio else {}
    return {**record, "image": list(sample.images), **heard, "task": sample.task, **origin(sample)}


def label_studio(item: Item) -> dict[str, Any]:
    """A task of Label Studio; one that was read from there is kept as it is, and gets a prediction more."""
    original = item.original
    from_name, to_name = item.task.name, "text" if item.is_text and item.sample.turns else "turns"
    if isinstance(original.get("data"), dict):
        from_name, to_name = item.asked or (from_name, next(iter(original["data"]), "text"))
        task = dict(original)
    else:
        said = {"text": item.text} if item.is_text else {"turns": plain_record(item.sample)["turns"]}
        images = item.sample.images
        shown: dict[str, Any] = {}
        if images:
            shown = {"image": images[0]} if len(images) == 1 else {"images": list(images)}
        if audio := item.sample.audio:
            shown["audio"] = audio[0] if len(audio) == 1 else list(audio)
        if not item.sample.turns:
            said, to_name = {}, next(iter(shown), "text")
        task = {"id": item.sample.id, "data": {**said, **shown}, "task": item.sample.task, **origin(item.sample)}
        chosen = [_choices(from_name, to_name, item.labels)] if item.is_labelled else []
        task["annotations"] = [{"result": chosen}] if chosen else []
    if item.predicted is None:
        return task
    predicted = item.predicted
    result = [_choices(from_name, to_name, predicted.labels)] if predicted.label is not None else []
    prediction = {"model_version": MODEL, "score": predicted.confidence, "result": result}
    meta = task.get("meta") if isinstance(task.get("meta"), dict) else {}
    before = [each for each in task.get("predictions") or [] if not _is_ours(each)]
    return {**task, "predictions": [*before, prediction], "meta": {**(meta or {}), MODEL: predicted.columns()}}


def _choices(from_name: str, to_name: str, labels: list[str]) -> dict[str, Any]:
    return {"from_name": from_name, "to_name": to_name, "type": "choices", "value": {"choices": labels}}


def asked(original: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a record of Label Studio or Argilla calls the question, and what it is about; None where it does not tell.

    The names in the tool's interface must be those in the file.
    """
    if isinstance(original.get("fields"), dict):
        names = {**_held(original, "responses"), **_held(original, "suggestions")}
        return next(((name, "") for name in names), None)
    for held in (*(original.get("annotations") or ()), *(original.get("predictions") or ())):
        for result in held.get("result") or () if isinstance(held, dict) else ():
            if isinstance(result, dict) and not _is_ours(held) and result.get("type") == "choices":
                return str(result.get("from_name")), str(result.get("to_name"))
    return None


def _is_ours(prediction: Any) -> bool:
    """Of an earlier time, which the new one replaces."""
    return isinstance(prediction, dict) and prediction.get("model_version") == MODEL


def argilla(item: Item) -> dict[str, Any]:
    """A record of Argilla, as `Record.to_dict` has it; one that was read from there is kept, and gets a suggestion.

    A label is a suggestion and in the metadata: a response needs a user of the server that it is for.
    """
    original, question = item.original, item.task.name
    if isinstance(original.get("fields"), dict):
        record = dict(original)
        question = item.asked[0] if item.asked else question
    else:
        turns = [{"role": turn.role, "content": turn.text} for turn in item.sample.turns]
        said: dict[str, Any] = {"text": item.text} if item.is_text else {"turns": turns}
        if not item.sample.turns:
            said = {}
        shown = {"image": item.sample.images[0]} if item.sample.images else {}
        metadata: dict[str, Any] = {}
        record = {"id": item.sample.id, "fields": {**said, **shown}, "metadata": metadata, "suggestions": {}}
        record |= {"responses": {}, "vectors": {}, "task": item.sample.task, **origin(item.sample)}
        if item.is_labelled:
            label = as_json(item.sample.answer)
            record["suggestions"] = {question: {"value": label, "score": None, "agent": "label"}}
            metadata["label"] = label
    if item.predicted is not None and item.predicted.label is not None:
        value = as_json(item.predicted.label)
        suggestion = {"value": value, "score": item.predicted.confidence, "agent": MODEL}
        record["suggestions"] = {**_held(record, "suggestions"), question: suggestion}
    if item.predicted is not None:
        told = {key: value for key, value in item.predicted.columns().items() if value not in (None, "", [])}
        told |= {"rules": " ".join(item.predicted.rules)} if item.predicted.rules else {}
        ours = {f"{MODEL}_{key}": value for key, value in told.items()}
        record["metadata"] = {**_held(record, "metadata"), **ours}
    return record


def _held(record: Any, key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def doccano(item: Item) -> dict[str, Any]:
    """doccano's text classification."""
    return {"id": item.sample.id, "text": item.text, "label": item.labels, "Comments": [], "task": item.sample.task}


def prodigy(item: Item) -> dict[str, Any]:
    """A task of Prodigy's `choice` interface, answered where the sample has a label."""
    options = [{"id": name, "text": name} for name in item.task.label_names]
    shown = {"image": item.sample.images[0]} if item.sample.images else {}
    said = {"text": item.text} if item.sample.turns or not shown else {}
    answer = {"accept": item.labels, "answer": "accept"} if item.is_labelled else {}
    return {"id": item.sample.id, **said, **shown, "options": options, **answer, "task": item.sample.task}


def rasa(item: Item) -> dict[str, Any]:
    """An example of an intent, for `containers.rasa_yaml`."""
    return {"intent": item.sample.label, "example": item.text}


def _predicted(item: Item) -> dict[str, Any]:
    return {} if item.predicted is None else item.predicted.columns()
