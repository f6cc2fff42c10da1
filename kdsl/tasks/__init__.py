"""Task files: a closed list of labels with descriptions, and the prompt; the two MIRE tasks ship here."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kdsl.errors import KdslError
from kdsl.file_names import safe_name
from kdsl.files import path_given
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, Label, Task
from kdsl.yaml_file import first_mistake, read_yaml, validate, yaml_string

_TAKEN = ("reviews", "large", "joint", "augmented", "evaluation", "cross-validation", "seesaw", "ablation")
"""Folders that the rule base and the checkpoint have besides those of the tasks."""
SHIPPED = Path(__file__).parent

_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LONGEST_NAME = 100
"""Bytes."""


def load_task(name_or_path: str | Path, folder: Path = Path(".")) -> Task:
    """The shipped task of that name, or the task in a YAML file whose path is relative to `folder`.

    Raises KdslError when there is neither, for YAML mistakes, and for labels that are missing, empty, doubled or not
    text, with file and line.

    >>> len(load_task("mire_intent").labels), load_task("mire_scene").label_names[:2]
    (23, ('实物拍摄(含售后)', '商品分类选项'))
    """
    shipped = shipped_tasks()
    path = shipped.get(str(name_or_path), folder / path_given(name_or_path, "task"))
    if not path.is_file():
        raise KdslError(
            f"task {str(name_or_path)!r}: {path} is no file; name a shipped task ({', '.join(sorted(shipped))}) "
            "or the path of a task file"
        )
    file = read_yaml(path)
    content = validate(_TaskFile, file, file.value)
    return content.task()


def shipped_tasks() -> dict[str, Path]:
    """The files of the tasks that come with KDSL, by name."""
    return {path.stem: path for path in SHIPPED.glob("*.yaml")}


def task_text(task: Task, counts: Mapping[str, int] | None = None) -> str:
    """The task file of `task`, which `load_task` reads as the same task again; KdslError for what cannot be one.

    With `counts`, the number of samples of each label, these are told, and there is a place for descriptions.
    """
    if not isinstance(task.labels, tuple | list) or not all(isinstance(label, Label) for label in task.labels):
        raise KdslError(f"task {task.name!r:.80}: labels is {task.labels!r:.80}; it must be a tuple of kdsl.Label")
    record: dict[str, Any] = {"name": task.name, "labels": [asdict(label) for label in task.labels]}
    record |= {"prompt": task.prompt, "multi": task.multi}
    record |= {"other": {"label": task.other, "unlisted": task.unlisted_as_other}}
    if task.other is None:
        del record["other"]
    try:
        _TaskFile.model_validate(record)
    except ValidationError as error:
        raise KdslError(f"task {task.name!r:.80}: {first_mistake(_TaskFile, error)}") from error
    labels = [
        f"  - {{name: {yaml_string(label.name)}{_description(label, counts)}}}{_told(label, counts)}\n"
        for label in task.labels
    ]
    prompt = f"prompt: {yaml_string(task.prompt)}\n" if task.prompt else ""
    multi = "multi: true\n" if task.multi else ""
    return f"name: {yaml_string(task.name)}\n{multi}labels:\n{''.join(labels)}{_other(task)}{prompt}"


def _description(label: Label, counts: Mapping[str, int] | None) -> str:
    return f", description: {yaml_string(label.description)}" if label.description or counts is not None else ""


def _told(label: Label, counts: Mapping[str, int] | None) -> str:
    return "" if counts is None else f"  # {counts.get(label.name, 0)} samples"


def _other(task: Task) -> str:
    if task.other is None:
        return ""
    name = yaml_string(task.other)
    return f"other: {{label: {name}, unlisted: true}}\n" if task.unlisted_as_other else f"other: {name}\n"


class _LabelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    description: str = ""

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        return _visible(name)


class _OtherEntry(BaseModel):
    """The label of what belongs to none of the others; `other: NAME` is short for `other: {label: NAME}`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str
    unlisted: bool = False
    """Whether samples whose label is not listed are read as this one."""

    @field_validator("label")
    @classmethod
    def _label(cls, name: str) -> str:
        return _visible(name)


class _TaskFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    labels: list[_LabelEntry] = Field(min_length=2)
    prompt: str = ""
    multi: bool = False
    other: _OtherEntry | None = None

    @field_validator("other", mode="before")
    @classmethod
    def _other(cls, given: Any) -> Any:
        if not isinstance(given, str | dict):
            raise ValueError(f"is {str(given)!r:.60}; write the name of a label, such as `other: none of these`")
        return {"label": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _belonging(self) -> "_TaskFile":
        if self.other is not None and sum(label.name != self.other.label for label in self.labels) < 2:
            raise ValueError(f"beside {self.other.label!r}, which `other` names, list at least two labels")
        if self.other is not None and self.multi:
            raise ValueError("`other` and `multi: true` exclude each other: a sample on which no label holds is []")
        return self

    def task(self) -> Task:
        """The label of `other` is the last one where it is not listed."""
        labels = tuple(Label(label.name, label.description) for label in self.labels)
        if self.other is None:
            return Task(self.name, labels, self.prompt, multi=self.multi)
        if self.other.label not in [label.name for label in labels]:
            labels = (*labels, Label(self.other.label))
        return Task(self.name, labels, self.prompt, self.other.label, self.other.unlisted)

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        _visible(name)
        if name.casefold() in _TAKEN:
            raise ValueError(f"{name!r} names a folder that KDSL makes itself; call the task something else")
        # File names are made of the name and more.
        if safe_name(name) != name or len(name.encode()) > _LONGEST_NAME:
            raise ValueError(
                f"{name!r:.80} names a folder of rules too, which cannot be called that; use letters, digits, - and _"
            )
        return name

    @field_validator("labels", mode="before")
    @classmethod
    def _names_alone(cls, labels: object) -> object:
        """A label without a description may be its name alone; unquoted numbers are names too."""
        if not isinstance(labels, list):
            return labels
        return [{"name": str(each)} if _is_name(each) else each for each in labels]

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: list[_LabelEntry]) -> list[_LabelEntry]:
        names = [label.name for label in labels]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the label {name!r} is listed twice; keep one of the two")
        return labels


def _is_name(entry: object) -> bool:
    return isinstance(entry, str | int) and not isinstance(entry, bool)


def _visible(name: str) -> str:
    if not name.strip():
        raise ValueError("is empty; write at least one visible character")
    if name != name.strip() or len(name.splitlines()) > 1:
        raise ValueError(f"{name!r} begins or ends with a space or holds a line break; remove it")
    if found := _NO_TEXT.search(name):
        raise ValueError(f"{name!r} holds {found[0]!r}, which is no text; remove it")
    for placeholder, what in ((IMAGE_PLACEHOLDER, "a picture"), (AUDIO_PLACEHOLDER, "a sound")):
        if placeholder in name:
            raise ValueError(f"{name!r} holds {placeholder}, which stands for {what} in prompts; remove it")
    return name
