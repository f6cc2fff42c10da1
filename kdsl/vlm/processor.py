"""From conversations to the tensors that a Qwen model takes, which sees, hears, or both."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from jinja2 import TemplateError
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import pad
from transformers import ProcessorMixin

from kdsl.errors import KdslError, first_line
from kdsl.vlm.control_tokens import ControlTokens
from kdsl.vlm.conversation import (
    Audio,
    Conversation,
    Instruction,
    Message,
    Picture,
    Piece,
    drop_earliest,
    pictures,
    sounds,
    split_begun,
)
from kdsl.vlm.pixels import PixelBudget, load_picture
from kdsl.vlm.preprocessing import read_preprocessing
from kdsl.vlm.sounds import load_sound

_MARKS = 5
"""Tokens that Qwen's chat format puts around a message."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One conversation as a model reads it, not padded."""

    input_ids: Tensor
    """[tokens]"""
    mm_token_type_ids: Tensor | None = None
    """[tokens]: 1 for a token that stands for part of a picture, 0 for text; None for models that do not ask."""
    pixel_values: Tensor | None = None
    """[patches, values of a patch]: the patches of all pictures; None without pictures."""
    image_grid_thw: Tensor | None = None
    """[pictures, 3]: patches in time, height and width."""
    input_features: Tensor | None = None
    """[sounds, mel bands, frames]: spectrograms; None without sounds."""
    feature_attention_mask: Tensor | None = None
    """[sounds, frames]: 1 where a frame holds sound, 0 behind its end."""
    dropped: int = 0
    """Pieces of the conversation that were dropped because it was too long."""
    cut: tuple[Path, ...] = ()
    """Sounds that were longer than the model takes."""

    def __len__(self) -> int:
        return len(self.input_ids)

    def followed_by(self, tokens: Sequence[int]) -> "Prompt":
        """The same with more tokens of text behind it."""
        more = torch.tensor(tokens, dtype=self.input_ids.dtype)
        kinds = self.mm_token_type_ids
        if kinds is not None:
            kinds = torch.cat([kinds, torch.zeros(len(more), dtype=kinds.dtype)])
        return replace(self, input_ids=torch.cat([self.input_ids, more]), mm_token_type_ids=kinds)


@dataclass(frozen=True)
class _Media:
    """What the pictures and sounds of one conversation are."""

    images: dict[Picture, Image]
    sounds: dict[Audio, NDArray[np.float32]]
    cut: tuple[Path, ...]


class Processor:
    """Tokenizer and preprocessing of pictures and sounds of one model directory, with one pixel budget."""

    def __init__(self, processor: ProcessorMixin, budget: PixelBudget, max_tokens: int) -> None:
        self._processor = processor
        self._lock = Lock()
        """Pictures are loaded by several threads, but tokenizers switch special tokens on and off in themselves."""
        self.budget = budget
        self.max_tokens = max_tokens
        """Longer prompts lose their earliest pieces."""
        self.tokenizer = processor.tokenizer
        self._control = ControlTokens(self.tokenizer.added_tokens_encoder)
        self._images = getattr(processor, "image_processor", None)
        self._extractor = getattr(processor, "feature_extractor", None)
        self._factor = 0 if self._images is None else self._images.patch_size * self._images.merge_size
        end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        # Of what only reads, there are many chat formats; each ends an answer in the end token.
        self.end_id: int = self.tokenizer.eos_token_id if end in (None, self.tokenizer.unk_token_id) else end
        self.pad_id: int = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.end_id

    def __getstate__(self) -> dict[str, Any]:
        """For the processes of a data loader, which get a lock of their own."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = Lock()

    @classmethod
    def load(cls, path: str | Path, budget: PixelBudget | None = None, max_tokens: int = 32768) -> "Processor":
        """From a model directory or a hub id of one of `kdsl.vlm.checkpoint.FAMILIES`, with or without torchvision.

        OSError and ValueError of transformers pass through; `kdsl.pretrained` words them.
        """
        budget = budget or PixelBudget()
        return cls(read_preprocessing(path, budget), budget, max_tokens)

    @property
    def sees(self) -> bool:
        """Whether the model takes pictures."""
        return self._images is not None

    @property
    def hears(self) -> bool:
        """Whether the model takes sounds."""
        return self._extractor is not None

    @property
    def sound_seconds(self) -> float:
        """What the model takes of a sound; 0 where it does not hear."""
        return 0.0 if self._extractor is None else float(self._extractor.chunk_length)

    @property
    def media_ids(self) -> set[int]:
        """The tokens that stand for parts of pictures and sounds."""
        return {*self._processor.image_token_ids, *self._processor.audio_token_ids} - {None}

    def encode(self, conversation: Conversation) -> Prompt:
        """Tokens up to where the answer begins, and of its beginning where the conversation holds one (`begun`).

        Control tokens inside the conversation's texts are plain text (`kdsl.vlm.control_tokens`). Of a sound the model
        hears `sound_seconds`.

        A prompt of more than `max_tokens` tokens loses whole pieces, earliest first (`drop_earliest`). Raises
        KdslError for a picture or a sound that cannot be taken, and when the pieces that have to stay are too long.
        """
        conversation, answer = split_begun(conversation)
        begun = [token for piece in answer for token in self._text_ids(piece)]
        media = self._load(conversation)
        prompt = self._encode(conversation, media)
        total = 0
        while len(prompt) + len(begun) > self.max_tokens:
            excess = len(prompt) + len(begun) - self.max_tokens
            n = self._pieces_worth(conversation, excess, media)
            conversation, dropped = drop_earliest(conversation, n)
            total += dropped
            if dropped == 0:
                raise KdslError(
                    f"a prompt has {len(prompt)} tokens even without the pieces that can be dropped, but the model is "
                    f"given at most {self.max_tokens}; shorten the text, or lower the pixel budget"
                )
            prompt = self._encode(conversation, media)
        left = {sound.path for sound in sounds(conversation)}
        cut = tuple(path for path in media.cut if path in left)
        return replace(prompt.followed_by(begun) if begun else prompt, dropped=total, cut=cut)

    def answer_ids(self, *pieces: str, ended: bool = True) -> list[int]:
        """The tokens of an answer and its end token; control tokens in its text are plain text.

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
        """Write the tokenizer's and the preprocessing's files, so that `load` finds them beside a config.json."""
        self._processor.save_pretrained(folder)

    def _load(self, conversation: Conversation) -> _Media:
        """Pictures and sounds, opened; KdslError for one that cannot be taken, whatever the reason."""
        shown, heard = set(pictures(conversation)), set(sounds(conversation))
        if shown and not self.sees:
            raise KdslError(
                f"{min(each.path for each in shown)}: a picture, but the model sees none; take one that does, such as "
                "Qwen2.5-VL or Qwen2.5-Omni, or ask it without pictures"
            )
        if heard and not self.hears:
            raise KdslError(
                f"{min(each.path for each in heard)}: a sound, but the model does not hear; take one that does, such "
                "as Qwen2-Audio or Qwen2.5-Omni, or ask it with what is said in the sound"
            )
        loaded = {sound: load_sound(sound.path, self.sound_seconds) for sound in heard}
        return _Media(
            {picture: self.load_picture(picture) for picture in shown},
            {sound: samples for sound, (samples, _) in loaded.items()},
            tuple(sorted(sound.path for sound, (_, longer) in loaded.items() if longer)),
        )

    def _encode(self, conversation: Conversation, media: _Media) -> Prompt:
        conversation = self._control.plain_texts(conversation)
        # `load_picture` has resized them, once for every backend.
        how = {"do_resize": False} if pictures(conversation) else {}
        reads_only = self._images is None and self._extractor is None
        with self._lock, _refusals_told():
            batch = self._processor.apply_chat_template(
                [(_plain_message(message) if reads_only else _message(message, media)) for message in conversation],
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                add_generation_prompt=True,
                processor_kwargs=how,
            )
        kinds = batch.get("mm_token_type_ids")
        return Prompt(
            batch["input_ids"][0],
            None if kinds is None else kinds[0],
            batch.get("pixel_values"),
            batch.get("image_grid_thw"),
            batch.get("input_features"),
            batch.get("feature_attention_mask"),
        )

    def _pieces_worth(self, conversation: Conversation, tokens: int, media: _Media) -> int:
        """How many of the earliest pieces must go to save about so many tokens, at least one."""
        saved = n = 0
        for message in conversation:
            if message.role == "system":
                continue
            for group in [message.pieces] if message.whole else [(piece,) for piece in message.pieces]:
                if saved >= tokens and n:
                    return n
                if not message.whole and isinstance(group[0], Instruction):
                    continue
                saved += sum(self._worth(piece, media) for piece in group) + _MARKS * message.whole
                n += len(group)
        return max(n, 1)

    def _worth(self, piece: Piece, media: _Media) -> int:
        """About how many tokens a piece takes, with the marks around it."""
        if isinstance(piece, Picture):
            width, height = media.images[piece].size
            return width * height // self._factor**2 + 2
        if isinstance(piece, Audio):
            assert self._extractor is not None
            # Both families halve the frames by a convolution, and again by taking means of two.
            return len(media.sounds[piece]) // self._extractor.hop_length // 4 + 2
        return len(self._text_ids(piece))

    def _text_ids(self, text: str) -> list[int]:
        with self._lock:
            return self.tokenizer.encode(self._control.plain(text), add_special_tokens=False)


def collate(prompts: Sequence[Prompt], pad_id: int, side: Literal["left", "right"] = "left") -> dict[str, Tensor]:
    """The arguments of a model's forward for prompts of any lengths; `side` is where padding goes.

    input_ids, attention_mask and, where prompts have them, mm_token_type_ids are [batch, longest]. pixel_values and
    image_grid_thw hold the pictures of all prompts in order, input_features and feature_attention_mask their sounds;
    they are missing when there are none.
    """
    longest = max(map(len, prompts))
    shape = (len(prompts), longest)
    batch = {"input_ids": torch.full(shape, pad_id), "attention_mask": torch.zeros(shape, dtype=torch.long)}
    if prompts[0].mm_token_type_ids is not None:
        batch["mm_token_type_ids"] = torch.zeros(shape, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        place = slice(longest - len(prompt), longest) if side == "left" else slice(0, len(prompt))
        batch["input_ids"][row, place] = prompt.input_ids
        batch["attention_mask"][row, place] = 1
        if prompt.mm_token_type_ids is not None:
            batch["mm_token_type_ids"][row, place] = prompt.mm_token_type_ids
    pixels = [prompt.pixel_values for prompt in prompts if prompt.pixel_values is not None]
    if pixels:
        batch["pixel_values"] = torch.cat(pixels)
        batch["image_grid_thw"] = torch.cat([p.image_grid_thw for p in prompts if p.image_grid_thw is not None])
    features = [prompt.input_features for prompt in prompts if prompt.input_features is not None]
    if features:
        masks = [p.feature_attention_mask for p in prompts if p.feature_attention_mask is not None]
        frames = max(each.shape[-1] for each in features)
        for name, parts in (("input_features", features), ("feature_attention_mask", masks)):
            batch[name] = torch.cat([pad(part, (0, frames - part.shape[-1])) for part in parts])
    return batch


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Some chat formats have no system messages, or want user and assistant to take turns."""
    try:
        yield
    except TemplateError as error:
        raise KdslError(f"the model's chat template cannot write this conversation ({first_line(error)})") from error


def _plain_message(message: Message) -> dict[str, Any]:
    """As templates take it that know texts alone."""
    return {"role": message.role, "content": "".join(map(str, message.pieces))}


def _message(message: Message, media: _Media) -> dict[str, Any]:
    return {"role": message.role, "content": [_part(piece, media) for piece in message.pieces]}


def _part(piece: Piece, media: _Media) -> dict[str, Any]:
    if isinstance(piece, Picture):
        return {"type": "image", "image": media.images[piece]}
    if isinstance(piece, Audio):
        return {"type": "audio", "audio": media.sounds[piece]}
    return {"type": "text", "text": str(piece)}
