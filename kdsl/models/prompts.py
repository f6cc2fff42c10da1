"""What a large model is asked about a sample: the task's prompt to the letter, in pieces that a model can drop."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kdsl.data.dialogue import dialogue_text, fill_prompt
from kdsl.data.record import IMAGE_PLACEHOLDER
from kdsl.errors import KdslError
from kdsl.fields.table import SampleFields
from kdsl.sample import Task
from kdsl.vlm.conversation import Conversation, Instruction, Picture, Piece, ask

PROMPT = """\
请判断下面的内容属于哪个分类标签。
{dialogue}
请直接只输出分类标签结果，不需要其他多余的话。以下是可以参考的分类标签为：{labels}
"""
"""For a task without a prompt of its own."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Makes the conversations of one project. The same in training, evaluation and prediction."""

    images: Path | None
    """The folder that image names are relative to."""
    descriptions: bool = False
    ocr: bool = False

    def conversation(self, task: Task, row: SampleFields) -> Conversation:
        """One user message, whose texts joined are `fill_prompt`, a picture in the place of each `<image>`.

        Turns and pictures may be dropped from a prompt that is too long, the task's own words may not. What is read on
        the pictures and the labels' descriptions stand before the prompt. Raises KdslError for a sample with images
        where no folder of images is known.
        """
        if not task.prompt:
            task = replace(task, prompt=PROMPT)
        return ask(*self._added(task, row), *self._prompt(task, row))

    def _added(self, task: Task, row: SampleFields) -> Iterator[Piece]:
        if self.ocr:
            text = row.text("ocr")
            for image in row.sample.images:
                lines = [segment.text for segment in text.segments if segment.image == image]
                if lines:
                    yield "图片中的文字：\n" + "\n".join(lines) + "\n"
        if self.descriptions:
            described = [f"{label.name}：{label.description}" for label in task.labels if label.description]
            if described:
                yield Instruction("分类标签的含义：\n" + "\n".join(described) + "\n")

    def _prompt(self, task: Task, row: SampleFields) -> Iterator[Piece]:
        sample = row.sample
        pictures = iter([Picture(self._path(image, sample.id)) for image in sample.images])
        text = fill_prompt(task, sample)
        dialogue = dialogue_text(sample.turns) if "{dialogue}" in task.prompt else ""
        # Not in the text only where turns hold more `<image>` than there are images: then nothing is dropped.
        before, dialogue, after = text.partition(dialogue) if dialogue else (text, "", "")
        yield from _with_pictures(before, Instruction, pictures)
        # A line is the smallest piece that is dropped: turns begin on lines of their own.
        for line in dialogue.splitlines(keepends=True):
            yield from _with_pictures(line, str, pictures)
        yield from _with_pictures(after, Instruction, pictures)

    def _path(self, image: str, sample: str) -> Path:
        if self.images is None:
            raise KdslError(f"sample {sample!r} has the image {image}, but data.images is not set; name the folder")
        return self.images / image


def _with_pictures(text: str, kind: type[str], pictures: Iterator[Picture]) -> Iterator[Piece]:
    for position, part in enumerate(text.split(IMAGE_PLACEHOLDER)):
        if position:
            yield next(pictures, kind(IMAGE_PLACEHOLDER))
        if part:
            yield kind(part)
