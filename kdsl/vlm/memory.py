"""How much memory a batch takes in a model beside its weights, by calculation, and how much there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

Method = Literal["repeat", "pack"]

VOCABULARY_AT_ONCE = 4096
"""Tokens of the vocabulary whose logits are held at once, in float32, for every position that is scored."""

_SHARE = 0.8
"""Of free memory that batches are given: kernels have workspaces, and allocators leave gaps."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a model that its memory follows from."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    bytes: int
    """Of a number."""
    encoder: int = 0
    """Width of the encoder of pictures or sounds; the larger of two, 0 without any."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Shape":
        config = model.config.get_text_config()
        parts = [getattr(model.config, name, None) for name in ("vision_config", "audio_config")]
        widths = [_width(part) for part in parts if part is not None]
        return cls(
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            config.vocab_size,
            model.dtype.itemsize,
            max(widths, default=0),
        )

    @property
    def cache(self) -> int:
        """Bytes of the keys and values of a token."""
        return 2 * self.layers * self.kv_heads * self.head * self.bytes

    @property
    def states(self) -> int:
        """Bytes of what one layer holds of a token at once: the gated product of its MLP, or queries, keys, values
        and their turned copies, and around them the residual and its norm."""
        return self.bytes * (6 * self.hidden + max(3 * self.intermediate, 6 * self.hidden))

    @property
    def encoded(self) -> int:
        """Bytes of what one layer of the encoder holds of a patch, or of two frames of a sound, with its input."""
        return 18 * self.encoder * self.bytes + 1176 * (4 + self.bytes) if self.encoder else 0


def _width(config: object) -> int:
    """Of an encoder; what Qwen2-VL calls `hidden_size` is that of the language model."""
    return next(
        int(getattr(config, name)) for name in ("embed_dim", "d_model", "hidden_size") if hasattr(config, name)
    )


def batch_bytes(
    shape: Shape, rows: int, tokens: int, lengths: Sequence[int], encoded: int = 0, method: Method = "pack"
) -> int:
    """What scoring answers of these `lengths` after `rows` prompts of `tokens` tokens each takes at its peak.

    `encoded` are the patches and pairs of frames of all prompts. Generating takes what scoring one answer does that
    is as long as may be generated.
    """
    after = sum(lengths)
    if method == "pack":
        kept, answers = rows * (tokens + after), rows * after
        mask = rows * after * (tokens + after)
    else:
        kept, answers = rows * len(lengths) * (tokens + max(lengths)), rows * len(lengths) * max(lengths)
        mask = answers * (tokens + max(lengths))
    looking = encoded * shape.encoded
    reading = rows * tokens * shape.states + rows * tokens**2 * (1 + shape.bytes)
    words = min(VOCABULARY_AT_ONCE, shape.vocabulary)
    logits = 8 * words + 4 * shape.hidden
    # Keys and values of one layer are repeated for every head, as attention with masks takes them.
    attending = mask * (2 + shape.bytes) + 2 * kept * shape.heads * shape.head * shape.bytes
    answering = answers * (shape.states + logits) + attending + 4 * words * shape.hidden
    # While a layer's keys and values are repeated, or grow, they are there twice.
    cache = kept * shape.cache + kept * shape.cache // shape.layers
    return cache + max(looking, reading, answering)


def free_bytes(model: PreTrainedModel) -> int:
    """Of the GPU with the least that is free among those that hold the model, what batches may take."""
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    return int(_SHARE * min(map(_free, devices)))


def _free(device: torch.device) -> int:
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
