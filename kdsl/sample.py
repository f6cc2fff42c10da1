"""The nouns that all other modules speak: Turn, Sample, Label, Task."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "agent"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue; `images` are file names relative to the project's image folder."""

    role: Role
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One item to classify. A bare text is a sample with one user turn; a bare screenshot has only `images`."""

    id: str
    task: str
    turns: tuple[Turn, ...] = ()
    images: tuple[str, ...] = ()
    """All images of the sample in order of appearance, those of its turns included."""
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A closed list of labels and the prompt that asks a vision-language model for one of them."""

    name: str
    labels: tuple[Label, ...]
    prompt: str = ""
    """Template with `{dialogue}` and `{labels}`; see docs/data.md."""

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


def label_indices(samples: Sequence[Sample], task: Task) -> list[int]:
    """The index of every sample's label in `task.labels`, -1 for a sample without one of them."""
    index = {name: i for i, name in enumerate(task.label_names)}
    return [index.get(sample.label, -1) if sample.label is not None else -1 for sample in samples]


_COPY = re.compile(r"\+\d+$")


def copy_id(source: str, number: int) -> str:
    """The id of a sample's changed copy: `s7+1` is the first one of `s7`."""
    return f"{source}+{number}"


def source_id(sample_id: str) -> str:
    """The id of the sample that a copy was made of; of any other sample its own."""
    return _COPY.sub("", sample_id)
