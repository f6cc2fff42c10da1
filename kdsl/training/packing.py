"""Several examples in one row of a batch, each of which sees itself alone: no memory or time goes into padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from kdsl.audio.decoding import RATE
from kdsl.audio.wav import wav_bytes
from kdsl.training.examples import Encoded
from kdsl.vlm.conversation import Audio, Picture, Piece, ask
from kdsl.vlm.processor import Processor, Prompt, collate
from kdsl.vlm.scoring import rotary_positions

ROW_TOKENS = 4096
"""Tokens of a row where a mask keeps its examples apart: what a mask hides is computed, so that long rows would cost
more than padding does. At 7B a token's attention to 4,096 others takes a tenth of what its weights take."""


@dataclass(frozen=True)
class Collator:
    """Examples of any lengths as one batch. `packed` makes of it the arguments of a model's forward.

    What `kdsl.vlm.processor.collate` gives is of one example a row, padded on the right. Beside it:

    layout [rows, width]: where each token of the packed rows lies in the flattened padded ones; -1 behind a row's end.
    places [n]: where in the flattened packed rows the states lie that predict the answers' tokens.
    targets [n]: these tokens, end tokens included. weights [n]: what each counts for in the loss.
    """

    processor: Processor
    row_tokens: int | None = ROW_TOKENS
    """Tokens of a packed row; a longer example has one of its own. None: one row, for attention that takes rows of
    different lengths."""
    dummies: Sequence[Prompt] = ()
    """A prompt with a picture and one with a sound, as the model takes them. Such an example without an answer is
    given to a batch that has no picture or no sound: under ZeRO-3 and FSDP a process that skips an encoder leaves the
    others waiting for its parameters."""

    def __call__(self, examples: Sequence[Encoded]) -> dict[str, Tensor]:
        examples = [*examples, *(Encoded(dummy, []) for dummy in self.dummies if _lacks(examples, dummy))]
        whole = [each.prompt.followed_by(each.answer) for each in examples]
        rows = rows_of([len(prompt) for prompt in whole], self.row_tokens)
        order = list(chain.from_iterable(rows))  # in which the model meets the pictures' tokens, and so the pictures
        batch = collate([whole[number] for number in order], self.processor.pad_id, side="right")
        longest = batch["input_ids"].shape[1]
        width = max(sum(len(whole[number]) for number in row) for row in rows)
        layout = torch.full((len(rows), width), -1)
        places: list[int] = []
        targets: list[int] = []
        weights: list[float] = []
        begins = iter(range(0, len(order) * longest, longest))
        for row, numbers in enumerate(rows):
            end = 0
            for number in numbers:
                example, length, begin = examples[number], len(whole[number]), next(begins)
                layout[row, end : end + length] = torch.arange(begin, begin + length)
                end += length
                last = row * width + end - 1  # whose state predicts nothing
                places += range(last - len(example.answer), last)
                targets += example.answer
                weights += [example.weight] * len(example.answer)
        batch["layout"], batch["places"] = layout, torch.tensor(places, dtype=torch.long)
        batch["targets"], batch["weights"] = torch.tensor(targets, dtype=torch.long), torch.tensor(weights)
        return batch


def rows_of(lengths: Sequence[int], row_tokens: int | None) -> list[list[int]]:
    """Which examples share a row of at most `row_tokens`, or of the longest example: first fit, the longest first."""
    if row_tokens is None:
        return [list(range(len(lengths)))]
    most = max(row_tokens, *lengths)
    rows: list[list[int]] = []
    free: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        row = next((row for row, left in enumerate(free) if lengths[number] <= left), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(most)
        rows[row].append(number)
        free[row] -= lengths[number]
    return rows


def packed(model: PreTrainedModel, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The arguments of the forward of this model, or of what wraps it, for a batch of `Collator`.

    Without an attention mask, transformers finds in `position_ids`, which begin anew with every example, which tokens
    belong together: it makes a mask of them, or tells flash-attention the lengths. Models that see take their rotary
    positions, [3, rows, width] in time, height and width, behind these.
    """
    padded = {name: part for name, part in batch.items() if name not in ("layout", "places", "targets", "weights")}
    rotary, _ = rotary_positions(model, padded)
    mask = padded.pop("attention_mask")
    behind = batch["layout"] < 0
    index = batch["layout"].masked_fill(behind, 0)
    for name in ("input_ids", "mm_token_type_ids"):
        if name in padded:
            # Behind a row's end stand tokens of text that see themselves, and nobody sees them.
            padded[name] = padded[name].flatten()[index].masked_fill(behind, 0)
    own = (index % mask.shape[1]).masked_fill(behind, 0)
    placed = rotary.flatten(-2)[..., index]
    positions = torch.cat([own[None], placed]) if rotary.ndim == 3 else own
    return {**padded, "position_ids": positions, "use_cache": False}


def row_tokens(model: PreTrainedModel) -> int | None:
    """`Collator.row_tokens` for a model as it attends."""
    return None if "flash" in (model.config._attn_implementation or "") else ROW_TOKENS


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


def _lacks(examples: Sequence[Encoded], dummy: Prompt) -> bool:
    if dummy.pixel_values is not None:
        return all(each.prompt.pixel_values is None for each in examples)
    return all(each.prompt.input_features is None for each in examples)
