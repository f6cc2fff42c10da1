"""What a large model is asked about a sample: the task's prompt to the letter, in pieces that a model can drop."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kdsl.data.dialogue import dialogue_text, fill_prompt, speakers_of
from kdsl.data.images import picture_path
from kdsl.errors import KdslError
from kdsl.fields.ocr_budget import CountTokens, LineInformation, budgeted, estimated_tokens
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.files import inside
from kdsl.retrieval.embedding import Embedder
from kdsl.retrieval.knowledge import Passage
from kdsl.retrieval.memory import Memory
from kdsl.retrieval.wording import wording_of
from kdsl.sample import AUDIO_PLACEHOLDER, IMAGE_PLACEHOLDER, Sample, Task
from kdsl.vlm.conversation import Audio, Conversation, Instruction, Picture, Piece, ask

NOTHING_KNOWN = LineInformation({})
NO_TEXT = "no text on the images is known, and the model takes no pictures; read it by OCR, or ask one that takes them"
NO_TRANSCRIPT = "what is said in its sounds is not known, and the model does not hear; run kdsl transcribe"


@dataclass(frozen=True, slots=True)
class Prompts:
    """Makes the conversations of one project. The same in training, evaluation and prediction."""

    images: Path | None
    """The folder that image names are relative to."""
    descriptions: bool = False
    ocr: bool = False
    """The cleaned text on the pictures, as much as fits `ocr_tokens`."""
    ocr_tokens: int = 512
    neighbours: int = 0
    """How many of the nearest samples that were trained on."""
    knowledge: int = 0
    """How many of `passages`."""
    passages: Mapping[str, Sequence[Passage]] = field(default_factory=dict)
    """Task → what is known besides samples; learned from by `fitted`."""
    count: CountTokens = estimated_tokens
    audio: Path | None = None
    """The folder that names of sounds are relative to."""
    sees: Callable[[], bool] = lambda: True
    """Whether the model takes pictures; where it does not, the text on them stands for them."""
    hears: Callable[[], bool] = lambda: False
    """Whether the model takes sounds, asked for samples that have any: what is said in them stands in their turns."""
    embedder: Embedder | None = None
    """What finds neighbours by a model's hidden states; None finds them by their texts."""
    memories: Mapping[str, Memory] = field(default_factory=dict)
    """Task → what was learned from the samples that are trained on."""

    @property
    def remembers(self) -> bool:
        """Whether prompts depend on the samples that are trained on."""
        return self.ocr or self.neighbours > 0 or self.knowledge > 0

    def fitted(self, trained: Sequence[tuple[Task, FieldTable, Sequence[str]]]) -> "Prompts":
        """The prompts of a model that is trained on these samples alone: for each task a table, and its labels."""
        if not self.remembers:
            return self
        images = self.images if self.neighbours else None
        memories = dict(self.memories)
        for task, table, labels in trained:
            passages = self.passages.get(task.name, ()) if self.knowledge else ()
            embedder = self.embedder_of(task) if self.neighbours else None
            memories[task.name] = Memory.fit(table, labels, passages, images, embedder, wording_of(task))
        return replace(self, memories=memories)

    def unshown(self, task: Task, row: SampleFields) -> str | None:
        """Why the model is not asked about a sample: nothing of its images, or of its sounds, can be shown to it. None
        where it is asked."""
        if row.shown.images and not self.sees() and not any(self.pages(task, row)):
            return NO_TEXT
        unknown = any(name not in row.sidecars.transcripts for name in row.shown.audio)
        return NO_TRANSCRIPT if unknown and not self.hears() else None

    def pages(self, task: Task, row: SampleFields) -> Iterator[str]:
        """The cleaned text on each picture, as much as fits; nothing without `ocr`."""
        if not self.ocr:
            return
        memory = self.memories.get(task.name)
        information = NOTHING_KNOWN if memory is None else memory.information
        pages = [[line.text for line in page.lines] for page in row.cleaned.pages]
        for lines in budgeted(pages, self.ocr_tokens, information, self.count):
            if lines:
                yield wording_of(task).pages.format("\n".join(lines))

    def embedder_of(self, task: Task) -> Embedder | None:
        """`embedder`, showing dialogues in the task's language."""
        return None if self.embedder is None else replace(self.embedder, speakers=speakers_of(task))

    def conversation(self, task: Task, row: SampleFields) -> Conversation:
        """One user message, whose texts joined are `fill_prompt`, a picture in the place of each `<image>`.

        What is said in sounds stands in the texts of their turns; for a model that hears, the sound itself stands
        behind it, in the place of each `<audio>`.

        Turns, pictures and sounds may be dropped from a prompt that is too long, the task's own words may not.
        Passages and neighbours stand before the prompt, the best last, then what is read on the pictures and the
        labels' descriptions: what matters least is dropped first. Raises KdslError for a sample with images, or with
        sounds for a model that hears, where no folder of them is known.
        """
        if not task.prompt:
            task = replace(task, prompt=wording_of(task).prompt)
        return ask(*self._added(task, row), *self._prompt(task, row))

    def _added(self, task: Task, row: SampleFields) -> Iterator[Piece]:
        memory, wording = self.memories.get(task.name), wording_of(task)
        if memory is not None:
            for passage in reversed(memory.known(row, self.knowledge)):
                shown = wording.titled.format(passage.title, passage.text) if passage.title else passage.text
                yield wording.passage.format(shown)
            for neighbour in reversed(memory.nearest(row, self.neighbours, self.images, self.embedder_of(task))):
                yield wording.neighbour.format(text=neighbour.text, label=neighbour.label)
        yield from self.pages(task, row)
        if self.descriptions:
            described = [
                wording.titled.format(each.name, each.description) for each in task.labels if each.description
            ]
            if described:
                yield Instruction(wording.labels.format("\n".join(described)))

    def _prompt(self, task: Task, row: SampleFields) -> Iterator[Piece]:
        sample = row.heard
        heard = bool(sample.audio) and self.hears()
        shown: list[Piece] = (
            [*self.pictures_of(sample)] if sample.images and self.sees() else [""] * len(sample.images)
        )
        media: dict[str, Iterator[Piece]] = {IMAGE_PLACEHOLDER: iter(shown)}
        if heard:
            media[AUDIO_PLACEHOLDER] = iter(self.sounds_of(sample))
        text = fill_prompt(task, sample, heard)
        dialogue = dialogue_text(sample.turns, speakers_of(task), heard) if "{dialogue}" in task.prompt else ""
        # Not in the text only where turns hold more placeholders than there are files: then nothing is dropped.
        before, dialogue, after = text.partition(dialogue) if dialogue else (text, "", "")
        yield from _with_media(before, Instruction, media)
        # A line is the smallest piece that is dropped: turns begin on lines of their own.
        for line in dialogue.splitlines(keepends=True):
            yield from _with_media(line, str, media)
        yield from _with_media(after, Instruction, media)

    def pictures_of(self, sample: Sample) -> list[Picture]:
        """The sample's images; KdslError where no folder of images is known."""
        if self.images is None and sample.images:
            raise KdslError(
                f"sample {sample.id!r} has the image {sample.images[0]}, but data.images is not set; name the folder"
            )
        return [Picture(picture_path(self.images or Path(), image)) for image in sample.images]

    def sounds_of(self, sample: Sample) -> list[Audio]:
        """The sample's sounds; KdslError where no folder of sounds is known."""
        if self.audio is None and sample.audio:
            raise KdslError(
                f"sample {sample.id!r} has the sound {sample.audio[0]}, but data.audio is not set; name the folder"
            )
        return [Audio(inside(self.audio or Path(), name)) for name in sample.audio]


def _with_media(text: str, kind: type[str], media: Mapping[str, Iterator[Piece]]) -> Iterator[Piece]:
    """The text with the next file in the place of each placeholder; an empty piece takes the place alone."""
    for position, part in enumerate(re.split(f"({'|'.join(media)})", text)):
        if position % 2 == 0:
            piece: Piece = kind(part)
        else:
            piece = next(media[part], kind(part))
        if piece:
            yield piece
