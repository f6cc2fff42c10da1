"""The nouns that all other modules speak: Turn, Sample, Label, Task."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Role = Literal["user", "agent"]
SampleKey = tuple[str, str]
"""(task, id): what tells the samples of one file apart. Two files may number theirs alike."""
NO_LABEL_HOLDS = "no label"
"""How a sample is shown on which none of several labels holds."""
IMAGE_PLACEHOLDER = "<image>"
"""What stands for a picture in the texts of samples and prompts."""
AUDIO_PLACEHOLDER = "<audio>"
"""What stands for a sound, such as a voice message."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue; `images` and `audio` are file names relative to the project's folders of them."""

    role: Role
    text: str
    images: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    """Sounds, such as voice messages; what is said in them stands in the sidecar of transcripts."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One item to classify. A bare text is a sample with one user turn; a bare screenshot has only `images`."""

    id: str
    task: str
    turns: tuple[Turn, ...] = ()
    images: tuple[str, ...] = ()
    """All images of the sample in order of appearance, those of its turns included."""
    label: str | None = None
    """None for a sample without a label, and for one of a task with several labels a sample."""
    copy_of: str | None = None
    """Id of the sample of the same task that this one is a changed copy of; None for any other sample."""
    labels: tuple[str, ...] | None = None
    """Of a task with several labels a sample (`Task.multi`): those that hold, () where none does; None where nobody
    has said which, and for samples of other tasks."""
    audio: tuple[str, ...] = ()
    """All sounds of the sample in order of appearance, those of its turns included."""

    @property
    def answer(self) -> str | tuple[str, ...] | None:
        """What people say it is: its label, or all labels that hold; None where they have not said."""
        return self.label if self.labels is None else self.labels

    @property
    def given_labels(self) -> tuple[str, ...] | None:
        """The labels that people gave it, one or several; None where they gave none."""
        return self.labels if self.label is None else (self.label,)

    @property
    def answer_words(self) -> str | None:
        """The same to be read: `refund`, `refund + size`, `no label`."""
        return self.label if self.labels is None else " + ".join(self.labels) or NO_LABEL_HOLDS

    @property
    def key(self) -> SampleKey:
        return self.task, self.id

    @property
    def fingerprint(self) -> str:
        """Changes with whatever a model sees of the sample, and with its id, not with its label: 32 hex digits."""
        # Written out, so that it stays for samples without sounds what it was before there were any: logs hold it.
        turns = ", ".join(
            [
                f"Turn(role={turn.role!r}, text={turn.text!r}, images={turn.images!r}"
                + (f", audio={turn.audio!r})" if turn.audio else ")")
                for turn in self.turns
            ]
        )
        turns = f"({turns},)" if len(self.turns) == 1 else f"({turns})"
        heard = f", {self.audio!r}" if self.audio else ""
        seen = f"({self.id!r}, {turns}, {self.images!r}{heard})"
        return blake2b(seen.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def source(self) -> str:
        """The id of the sample that a copy was made of; of any other sample its own."""
        return self.id if self.copy_of is None else self.copy_of


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    description: str = ""

    @property
    def words(self) -> str:
        """The name as people read it: underscores separate words."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Task:
    """A closed list of labels and the prompt that asks a vision-language model for one of them."""

    name: str
    labels: tuple[Label, ...]
    prompt: str = ""
    """Template with `{dialogue}` and `{labels}`; see docs/data.md."""
    other: str | None = None
    """The label among `labels` of what belongs to none of the others; None where everything belongs to one of them."""
    unlisted_as_other: bool = False
    """Whether samples with a label that is not listed are read as samples of `other`."""

    multi: bool = False
    """Whether several labels may hold on a sample, or none: see docs/several_labels.md."""

    @property
    def other_index(self) -> int | None:
        """Where `other` stands in `labels`."""
        return None if self.other is None else self.label_names.index(self.other)

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


def label_indices(samples: Sequence[Sample], task: Task) -> list[int]:
    """The index of every sample's label in `task.labels`, -1 for a sample without one of them."""
    index = {name: i for i, name in enumerate(task.label_names)}
    return [index.get(sample.label, -1) if sample.label is not None else -1 for sample in samples]


def original_rows(samples: Sequence[Sample]) -> list[int]:
    """For every sample the row of the one that it is a changed copy of, its own for a sample that is no copy.

    Of copies whose original is not among `samples` it is the row of the first one.
    """
    first: dict[SampleKey, int] = {}
    for row, sample in enumerate(samples):
        if sample.copy_of is None:
            first.setdefault(sample.key, row)
    return [
        row if sample.copy_of is None else first.setdefault((sample.task, sample.copy_of), row)
        for row, sample in enumerate(samples)
    ]
