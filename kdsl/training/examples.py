"""What the large model learns from: conversations with the right answer, as batches of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from kdsl.audio.decoding import RATE
from kdsl.audio.wav import wav_bytes
from kdsl.models.large.targets import CHINESE, AnswerMarks, Target, answer_pieces, shortened
from kdsl.vlm.conversation import Audio, Conversation, Picture, Piece, ask
from kdsl.vlm.processor import Processor, Prompt, collate

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
    """Encodes an example when it is asked for: pictures and sounds of a whole data set need not fit the memory."""

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
            self._processor.encode(example.conversation), self._processor.answer_ids(*self.answer_pieces(example))
        )

    def answer_pieces(self, example: Example) -> tuple[str, ...]:
        """What is learned of an example, in the pieces that have tokens of their own."""
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
    dummies: Sequence[Prompt] = ()
    """A prompt with a picture and one with a sound, as the model takes them. What they hold is given to a batch that
    has no picture or no sound, where nothing attends to it: under ZeRO-3 and FSDP a process that skips an encoder
    leaves the others waiting for its parameters."""

    def __call__(self, rows: Sequence[Encoded]) -> dict[str, Tensor]:
        whole = [row.prompt.followed_by(row.answer) for row in rows]
        batch = collate(whole, self.processor.pad_id, side="left")
        kept = max(len(row.answer) for row in rows) + 1  # the token before an answer predicts its first one
        labels = torch.full((len(rows), kept), IGNORED)
        for number, row in enumerate(rows):
            labels[number, kept - len(row.answer) :] = torch.tensor(row.answer)
        batch["labels"] = labels
        for dummy in self.dummies:
            _add_unseen(batch, dummy, self.processor.media_ids)
        return batch


def blank_media(processor: Processor) -> list[Prompt]:
    """Prompts with a small white picture, and with a moment of silence, for `Collator.dummies`."""
    with TemporaryDirectory() as folder:
        pieces: list[Piece] = []
        if processor.sees:
            from PIL import Image

            pieces.append(Picture(Path(folder) / "blank.png"))
            Image.new("RGB", (56, 56), "white").save(Path(folder) / "blank.png")
        if processor.hears:
            pieces.append(Audio(Path(folder) / "silence.wav"))
            (Path(folder) / "silence.wav").write_bytes(wav_bytes(np.zeros(RATE // 10, np.float32)))
        return [processor.encode(ask(piece, ".")) for piece in pieces]


def _add_unseen(batch: dict[str, Tensor], dummy: Prompt, media_ids: set[int]) -> None:
    """Put the dummy's picture or sound in front of the first row, masked, and padding in front of the others, where
    the batch has none."""
    held = {
        "pixel_values": dummy.pixel_values,
        "image_grid_thw": dummy.image_grid_thw,
        "input_features": dummy.input_features,
        "feature_attention_mask": dummy.feature_attention_mask,
    }
    lacking = {name: tensor for name, tensor in held.items() if tensor is not None and name not in batch}
    if not lacking:
        return
    chosen = torch.isin(dummy.input_ids, torch.tensor(sorted(media_ids)))
    tokens = dummy.input_ids[chosen]
    shape = len(batch["input_ids"]), len(tokens)
    ids = torch.full(shape, int(batch["input_ids"][0, -1]))  # any token: the mask hides it
    ids[0] = tokens
    front = {"input_ids": ids, "attention_mask": torch.zeros_like(ids)}
    if dummy.mm_token_type_ids is not None:
        kinds = torch.zeros(shape, dtype=torch.long)
        kinds[0] = dummy.mm_token_type_ids[chosen]
        front["mm_token_type_ids"] = kinds
    for name, part in front.items():
        batch[name] = torch.cat([part, batch[name]], dim=1)
    batch |= lacking
