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
from torch import Tensor
from torch.nn.functional import pad
from transformers import ProcessorMixin

from kdsl.audio.decoding import RATE
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
from kdsl.vlm.patches import Patches, PatchForm
from kdsl.vlm.picture_cache import PictureCache
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.preprocessing import read_preprocessing, sound_inputs
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
    """Bytes [patches, 3 · side²] of all pictures, see `kdsl.vlm.patches`; None without pictures."""
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

    pictures: dict[Picture, Patches]
    sounds: dict[Audio, NDArray[np.float32]]
    cut: tuple[Path, ...]


class Processor:
    """Tokenizer and preprocessing of pictures and sounds of one model directory, with one pixel budget."""

    def __init__(
        self, processor: ProcessorMixin, budget: PixelBudget, max_tokens: int, cache: PictureCache | None = None
    ) -> None:
        self._processor = processor
        self._lock = Lock()
        """Several threads encode, but tokenizers switch special tokens on and off in themselves."""
        self.budget = budget
        self.max_tokens = max_tokens
        """Longer prompts lose their earliest pieces."""
        self.cache = cache
        """Where pictures are kept as the model takes them; None keeps none."""
        self.tokenizer = processor.tokenizer
        self._control = ControlTokens(self.tokenizer.added_tokens_encoder)
        self._images = getattr(processor, "image_processor", None)
        self._extractor = getattr(processor, "feature_extractor", None)
        self.form = PatchForm(budget)
        if self._images is not None:
            self.form = PatchForm(budget, self._images.patch_size, self._images.merge_size)
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
    def load(
        cls,
        path: str | Path,
        budget: PixelBudget | None = None,
        max_tokens: int = 32768,
        cache: PictureCache | None = None,
    ) -> "Processor":
        """From a model directory or a hub id of one of `kdsl.vlm.checkpoint.FAMILIES`, with or without torchvision.

        OSError and ValueError of transformers pass through; `kdsl.pretrained` words them.
        """
        budget = budget or PixelBudget()
        return cls(read_preprocessing(path, budget), budget, max_tokens, cache)

    @property
    def sees(self) -> bool:
        """Whether the model takes pictures."""
        return self._images is not None

    @property
    def factor(self) -> int:
        """What both sides of a picture are made divisible by; 0 where the model sees none."""
        return 0 if self._images is None else self.form.side * self.form.merged

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

    def patches(self, picture: Picture) -> Patches:
        """The picture as the model takes it."""
        if self.cache is None:
            return self.form.patches(picture.path)
        return self.cache.patches(picture.path, self.form)

    def inputs(self, batch: dict[str, Tensor], device: torch.device | str) -> dict[str, Tensor]:
        """What `collate` made, on a device, as a model's forward takes it.

        Bytes in `pixel_values` become numbers there, float32 [patches, 3 · frames · side²]: rescaled, normalised and
        repeated for each of the frames that a patch spans, as transformers' `Qwen2VLImageProcessor` does it.
        """
        found = {name: tensor.to(device) for name, tensor in batch.items()}
        pixels = found.get("pixel_values")
        if pixels is not None and pixels.dtype == torch.uint8:
            found["pixel_values"] = self._numbers(pixels)
        return found

    def batch(self, prompts: Sequence[Prompt], device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """What a model's forward takes of prompts of any lengths; padding stands on the left."""
        return self.inputs(collate(prompts, self.pad_id, side="left"), device)

    def _numbers(self, patches: Tensor) -> Tensor:
        images: Any = self._images
        values = patches.view(len(patches), 3, -1).to(torch.float32)
        if images.do_rescale:
            values.div_(1 / images.rescale_factor)
        if images.do_normalize:
            mean, std = (
                torch.tensor(each, dtype=torch.float32, device=values.device)[:, None]
                for each in (images.image_mean, images.image_std)
            )
            values.sub_(mean).div_(std)
        return values[:, :, None].expand(-1, -1, images.temporal_patch_size, -1).reshape(len(patches), -1)

    def rendered(self, conversation: Conversation) -> str:
        """A conversation of texts alone in the model's chat format, up to where its answer begins."""
        messages = [{"role": m.role, "content": "".join(map(str, m.pieces))} for m in conversation]
        with self._lock, _refusals_told():
            return self._processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

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
            {picture: self.patches(picture) for picture in shown},
            {sound: samples for sound, (samples, _) in loaded.items()},
            tuple(sorted(sound.path for sound, (_, longer) in loaded.items() if longer)),
        )

    def _encode(self, conversation: Conversation, media: _Media) -> Prompt:
        conversation = self._control.plain_texts(conversation)
        reads_only = self._images is None and self._extractor is None
        with self._lock, _refusals_told():
            tokens = self.tokenizer.apply_chat_template(
                [_plain_message(message) if reads_only else _message(message) for message in conversation],
                chat_template=self._processor.chat_template,
                add_generation_prompt=True,
                return_dict=False,
            )
        ids = np.array(tokens)
        patches = grids = features = mask = None
        if shown := [media.pictures[picture] for picture in pictures(conversation)]:
            sizes = [each.rows * each.columns // self.form.merged**2 for each in shown]
            ids = _widened(ids, self._processor.image_token_id, sizes)
            values = [each.values for each in shown]
            patches = torch.from_numpy(values[0] if len(values) == 1 else np.concatenate(values))
            grids = torch.tensor([[1, each.rows, each.columns] for each in shown])
        if samples := [media.sounds[sound] for sound in sounds(conversation)]:
            features, mask, sizes = sound_inputs(self._processor, samples, RATE)
            ids = _widened(ids, self._processor.audio_token_id, sizes)
        input_ids = torch.from_numpy(ids)
        kinds = None
        if self._processor.return_mm_token_type_ids:
            kinds = (input_ids == self._processor.image_token_id).to(input_ids.dtype)
        return Prompt(input_ids, kinds, patches, grids, features, mask)

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
            picture = media.pictures[piece]
            return picture.rows * picture.columns // self.form.merged**2 + 2
        if isinstance(piece, Audio):
            assert self._extractor is not None
            # Both families halve the frames by a convolution, and again by taking means of two.
            return len(media.sounds[piece]) // self._extractor.hop_length // 4 + 2
        return len(self._text_ids(piece))

    def _text_ids(self, text: str) -> list[int]:
        with self._lock:
            return self.tokenizer.encode(self._control.plain(text), add_special_tokens=False)


def collate(prompts: Sequence[Prompt], pad_id: int, side: Literal["left", "right"] = "left") -> dict[str, Tensor]:
    """Prompts of any lengths as one batch, on the CPU; `side` is where padding goes.

    input_ids, attention_mask and, where prompts have them, mm_token_type_ids are [batch, longest]. pixel_values and
    image_grid_thw hold the pictures of all prompts in order, input_features and feature_attention_mask their sounds;
    they are missing when there are none. Of pictures there are bytes, which `Processor.inputs` makes numbers of.
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


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [_part(piece) for piece in message.pieces]}


def _part(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, Picture):
        return {"type": "image", "image": ""}
    if isinstance(piece, Audio):
        return {"type": "audio", "audio": ""}
    return {"type": "text", "text": str(piece)}


def _widened(ids: NDArray[np.int64], token: int, sizes: Sequence[int]) -> NDArray[np.int64]:
    """With each token that stands for a picture, or a sound, as many times as it takes tokens."""
    places = ids == token
    if places.sum() != len(sizes):
        raise KdslError(
            f"the model's chat template has places for {places.sum()} of {len(sizes)} pictures or sounds; take the "
            "template that belongs to the model"
        )
    times = np.ones(len(ids), dtype=np.int64)
    times[places] = sizes
    return ids.repeat(times)
