"""From conversations to the tensors that a Qwen vision-language model takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import AutoTokenizer, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from kdsl.errors import KdslError
from kdsl.vlm.conversation import Conversation, Instruction, Picture, drop_earliest, pictures, split_begun
from kdsl.vlm.pixels import PixelBudget, load_picture

IMAGE = 1
"""What `mm_token_type_ids` says of a token that stands for part of a picture; 0 is text."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One conversation as a model reads it, not padded."""

    input_ids: Tensor
    """[tokens]"""
    mm_token_type_ids: Tensor
    """[tokens]"""
    pixel_values: Tensor | None
    """[patches, values of a patch]: the patches of all pictures; None without pictures."""
    image_grid_thw: Tensor | None
    """[pictures, 3]: patches in time, height and width."""
    dropped: int = 0
    """Pieces of the conversation that were dropped because it was too long."""

    def __len__(self) -> int:
        return len(self.input_ids)


class Processor:
    """Tokenizer and picture preprocessing of one model directory, with one pixel budget."""

    def __init__(self, processor: Qwen2VLProcessor, budget: PixelBudget, max_tokens: int) -> None:
        self._processor = processor
        self._lock = Lock()
        """Pictures are loaded by several threads, but tokenizers switch special tokens on and off in themselves."""
        self.budget = budget
        self.max_tokens = max_tokens
        """Longer prompts lose their earliest pieces."""
        self.tokenizer = processor.tokenizer
        image_processor = processor.image_processor
        self._factor = image_processor.patch_size * image_processor.merge_size
        self.end_id: int = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad_id: int = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.end_id

    def __getstate__(self) -> dict[str, Any]:
        """For the processes of a data loader, which get a lock of their own."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = Lock()

    @classmethod
    def load(cls, path: str | Path, budget: PixelBudget | None = None, max_tokens: int = 32768) -> "Processor":
        """From a model directory or a hub id of Qwen2-VL, Qwen2.5-VL or Qwen3-VL, with or without torchvision.

        OSError and ValueError of transformers pass through; `kdsl.pretrained` words them.
        """
        budget = budget or PixelBudget()
        size = {"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels}
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(path, size=size)
        template = Qwen2VLProcessor.get_processor_dict(path)[0].get("chat_template") or tokenizer.chat_template
        if template is None:
            raise ValueError("it has no chat template")
        return cls(_ImageProcessor(image_processor, tokenizer, chat_template=template), budget, max_tokens)

    def encode(self, conversation: Conversation) -> Prompt:
        """Tokens up to where the answer begins, and of its beginning where the conversation holds one (`begun`).

        Special tokens inside the conversation's texts are plain text.

        A prompt of more than `max_tokens` tokens loses whole pieces, earliest first (`drop_earliest`). Raises
        KdslError for a picture that cannot be taken, and when the pieces that have to stay are too long.
        """
        conversation, answer = split_begun(conversation)
        begun = [token for piece in answer for token in self._text_ids(piece)]
        images = {picture: self.load_picture(picture) for picture in set(pictures(conversation))}
        prompt = self._encode(conversation, images)
        total = 0
        while len(prompt) + len(begun) > self.max_tokens:
            excess = len(prompt) + len(begun) - self.max_tokens
            n = self._pieces_worth(conversation, excess, images)
            conversation, dropped = drop_earliest(conversation, n)
            total += dropped
            if dropped == 0:
                raise KdslError(
                    f"a prompt has {len(prompt)} tokens even without the pieces that can be dropped, but the model is "
                    f"given at most {self.max_tokens}; shorten the text, or lower the pixel budget"
                )
            prompt = self._encode(conversation, images)
        ids, kinds = prompt.input_ids, prompt.mm_token_type_ids
        if begun:
            ids = torch.cat([ids, torch.tensor(begun)])
            kinds = torch.cat([kinds, torch.zeros(len(begun), dtype=kinds.dtype)])
        return Prompt(ids, kinds, prompt.pixel_values, prompt.image_grid_thw, total)

    def answer_ids(self, *pieces: str, ended: bool = True) -> list[int]:
        """The tokens of an answer and its end token; special tokens in its text are plain text.

        Of several pieces each has tokens of its own, so that an answer can be scored or gone on with from its pieces.
        """
        return [token for piece in pieces for token in self._text_ids(piece)] + [self.end_id] * ended

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without special tokens."""
        with self._lock:
            return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def load_picture(self, picture: Picture) -> Image:
        """The picture in the size in which the model sees it."""
        return load_picture(picture.path, self.budget, self._factor)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's and the picture preprocessing's files, so that `load` finds them in `folder`."""
        self._processor.save_pretrained(folder)

    def _encode(self, conversation: Conversation, images: dict[Picture, Image]) -> Prompt:
        with self._lock:
            batch = self._processor.apply_chat_template(
                _messages(conversation, images),
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                add_generation_prompt=True,
                sanitize_control_tokens=True,
                processor_kwargs={"do_resize": False},  # `load_picture` has, once for every backend
            )
        grid = batch.get("image_grid_thw")
        return Prompt(batch["input_ids"][0], batch["mm_token_type_ids"][0], batch.get("pixel_values"), grid)

    def _pieces_worth(self, conversation: Conversation, tokens: int, images: dict[Picture, Image]) -> int:
        """How many of the earliest pieces must go to save about so many tokens, at least one."""
        saved = n = 0
        for message in conversation:
            for piece in () if message.role == "system" else message.pieces:
                if saved >= tokens and n:
                    return n
                if isinstance(piece, Picture):
                    width, height = images[piece].size
                    saved += width * height // self._factor**2 + 2
                elif isinstance(piece, str) and not isinstance(piece, Instruction):
                    saved += len(self._text_ids(piece))
                else:
                    continue
                n += 1
        return max(n, 1)

    def _text_ids(self, text: str) -> list[int]:
        with self._lock:
            return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def collate(prompts: Sequence[Prompt], pad_id: int, side: Literal["left", "right"] = "left") -> dict[str, Tensor]:
    """The arguments of a model's forward for prompts of any lengths; `side` is where padding goes.

    input_ids, attention_mask and mm_token_type_ids are [batch, longest]; pixel_values and image_grid_thw hold the
    pictures of all prompts in order, and are missing when there are none.
    """
    longest = max(map(len, prompts))
    shape = (len(prompts), longest)
    batch = {
        "input_ids": torch.full(shape, pad_id),
        "attention_mask": torch.zeros(shape, dtype=torch.long),
        "mm_token_type_ids": torch.zeros(shape, dtype=torch.long),
    }
    for row, prompt in enumerate(prompts):
        place = slice(longest - len(prompt), longest) if side == "left" else slice(0, len(prompt))
        batch["input_ids"][row, place] = prompt.input_ids
        batch["attention_mask"][row, place] = 1
        batch["mm_token_type_ids"][row, place] = prompt.mm_token_type_ids
    pixels = [prompt.pixel_values for prompt in prompts if prompt.pixel_values is not None]
    if pixels:
        batch["pixel_values"] = torch.cat(pixels)
        batch["image_grid_thw"] = torch.cat([p.image_grid_thw for p in prompts if p.image_grid_thw is not None])
    return batch


class _ImageProcessor(Qwen2VLProcessor):
    """Qwen2VLProcessor without its video part, which cannot be built where torchvision is missing."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)


def _messages(conversation: Conversation, images: dict[Picture, Image]) -> list[dict[str, Any]]:
    return [
        {
            "role": message.role,
            "content": [
                {"type": "image", "image": images[piece]}
                if isinstance(piece, Picture)
                else {"type": "text", "text": str(piece)}
                for piece in message.pieces
            ],
        }
        for message in conversation
    ]
