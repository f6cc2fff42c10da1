"""What the large model learns from: conversations with the right answer, as batches of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdsl.models.large.targets import CHINESE, AnswerMarks, Target, answer_pieces, shortened
from kdsl.vlm.conversation import Conversation, Picture, ask
from kdsl.vlm.processor import IMAGE, Processor, Prompt, collate

IGNORED = -100
"""The target of tokens that no loss is taken on."""


@dataclass(frozen=True, slots=True)
class Example:
    task: str
    conversation: Conversation
    answer: str
    """The label."""
    reason: str = ""
    """Why it has the label; empty where nobody says."""
    marks: AnswerMarks = CHINESE


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as the model reads it."""

    prompt: Prompt
    answer: list[int]
    """Token ids, the end token included."""


class Examples(Dataset[Encoded]):
    """Encodes an example when it is asked for: pictures of a whole data set need not fit the memory."""

    def __init__(
        self, examples: Sequence[Example], processor: Processor, target: Target = "label", most: int | None = None
    ) -> None:
        """`most`: tokens of an answer whose reason stands before its label; longer reasons lose their last clauses."""
        self._examples = examples
        self._processor = processor
        self._target = target
        self._most = most

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Encoded:
        example = self._examples[index]
        return Encoded(
            self._processor.encode(example.conversation), self._processor.answer_ids(*self._pieces(example))
        )

    def _pieces(self, example: Example) -> tuple[str, ...]:
        reason = example.reason
        if self._target == "reason_label" and self._most is not None and reason:
            rest = len(self._processor.answer_ids(example.marks.label, example.answer))
            reason = shortened(reason, self._most - rest, lambda text: len(self._processor.answer_ids(text)) - 1)
        return answer_pieces(self._target, example.answer, reason, example.marks)


@dataclass(frozen=True)
class Collator:
    """Examples of any lengths as the arguments of a model's forward.

    Padding stands on the left, so that all answers end together and only their last columns need logits: `labels` is
    [batch, kept], the targets of the last `kept` tokens, `IGNORED` wherever there is no answer.
    """

    processor: Processor
    dummy: Prompt | None = None
    """A prompt with a picture, whose pixels are given to a batch without any, where nothing attends to them: under
    ZeRO-3 and FSDP a process that skips the vision tower leaves the others waiting for its parameters."""

    def __call__(self, rows: Sequence[Encoded]) -> dict[str, Tensor]:
        whole = [_with_answer(row) for row in rows]
        batch = collate(whole, self.processor.pad_id, side="left")
        kept = max(len(row.answer) for row in rows) + 1  # the token before an answer predicts its first one
        labels = torch.full((len(rows), kept), IGNORED)
        for number, row in enumerate(rows):
            labels[number, kept - len(row.answer) :] = torch.tensor(row.answer)
        batch["labels"] = labels
        if self.dummy is not None and "pixel_values" not in batch:
            _add_unseen_picture(batch, self.dummy)
        return batch


def blank_picture(processor: Processor) -> Prompt:
    """A prompt with a small white picture, for `Collator.dummy`."""
    from PIL import Image

    with TemporaryDirectory() as folder:
        path = Path(folder) / "blank.png"
        Image.new("RGB", (56, 56), "white").save(path)
        return processor.encode(ask(Picture(path), "."))


def _with_answer(row: Encoded) -> Prompt:
    prompt, answer = row.prompt, torch.tensor(row.answer)
    return Prompt(
        torch.cat([prompt.input_ids, answer]),
        torch.cat([prompt.mm_token_type_ids, torch.zeros_like(answer)]),
        prompt.pixel_values,
        prompt.image_grid_thw,
        prompt.dropped,
    )


def _add_unseen_picture(batch: dict[str, Tensor], dummy: Prompt) -> None:
    """Put the dummy's picture tokens in front of the first row, masked, and padding in front of the others."""
    tokens = dummy.input_ids[dummy.mm_token_type_ids == IMAGE]
    shape = len(batch["input_ids"]), len(tokens)
    ids = torch.full(shape, int(batch["input_ids"][0, -1]))  # any token: the mask hides it
    ids[0] = tokens
    kinds = torch.zeros(shape, dtype=torch.long)
    kinds[0] = IMAGE
    for name, part in (("input_ids", ids), ("attention_mask", torch.zeros_like(ids)), ("mm_token_type_ids", kinds)):
        batch[name] = torch.cat([part, batch[name]], dim=1)
    assert dummy.pixel_values is not None and dummy.image_grid_thw is not None
    batch["pixel_values"], batch["image_grid_thw"] = dummy.pixel_values, dummy.image_grid_thw
