"""The preprocessing of transformers for each family of models, as it can be built with and without torchvision."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    AutoTokenizer,
    ProcessorMixin,
    Qwen2_5OmniProcessor,
    Qwen2AudioProcessor,
    Qwen2VLProcessor,
    WhisperFeatureExtractor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from kdsl.vlm.checkpoint import FAMILIES, model_config
from kdsl.vlm.pixels import PixelBudget


def read_preprocessing(path: str | Path, budget: PixelBudget) -> ProcessorMixin:
    """Tokenizer, chat template, pictures and sounds as the files of a model directory, or of a hub id, have them.

    It has an `image_processor` where the model sees, and a `feature_extractor` where it hears. OSError and ValueError
    of transformers pass through.
    """
    family = model_config(path).model_type
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    template = ProcessorMixin.get_processor_dict(path)[0].get("chat_template") or tokenizer.chat_template
    if family == "qwen2_audio":
        return Qwen2AudioProcessor(WhisperFeatureExtractor.from_pretrained(path), tokenizer, chat_template=template)
    if template is None:
        raise ValueError("it has no chat template")
    if not FAMILIES[family].sees:
        return _Reading(tokenizer, template)
    size = {"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels}
    images = Qwen2VLImageProcessorPil.from_pretrained(path, size=size)
    if family == "qwen2_5_omni_thinker":
        return _SeeingAndHearing(images, WhisperFeatureExtractor.from_pretrained(path), tokenizer, template)
    return _Seeing(images, tokenizer, template)


def sound_inputs(processor: Any, sounds: Sequence[NDArray[np.float32]], rate: int) -> tuple[Tensor, Tensor, list[int]]:
    """The `input_features` and the `feature_attention_mask` of sounds [samples], and how many tokens each takes."""
    options = {"sampling_rate": rate, "return_attention_mask": True, "return_tensors": "pt"}
    found, _ = processor._process_audio(list(sounds), **options)
    tokens = [int(number) for number in found["num_audio_tokens"]]
    return found["input_features"], found["feature_attention_mask"], tokens


class _Reading(ProcessorMixin):
    """A tokenizer alone."""

    def __init__(self, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(tokenizer, chat_template=chat_template)


class _Seeing(Qwen2VLProcessor):
    """Qwen2VLProcessor without its video part, which cannot be built where torchvision is missing."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)


class _SeeingAndHearing(Qwen2_5OmniProcessor):
    """Qwen2_5OmniProcessor without its video part."""

    def __init__(
        self,
        image_processor: Any = None,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
    ) -> None:
        ProcessorMixin.__init__(self, image_processor, feature_extractor, tokenizer, chat_template=chat_template)
        for name in ("image_token", "audio_token", "video_token"):
            setattr(self, name, getattr(tokenizer, name))
            setattr(self, f"{name}_id", getattr(tokenizer, f"{name}_id"))

    def validate_inputs(self, **named: Any) -> None:
        """Nothing: it would count the special tokens that are plain text in a conversation, too."""

    def _process_audio(self, audio: Any, **named: Any) -> tuple[Any, list[str]]:
        """Without the silence that fills every sound up to five minutes; the model takes it out again."""
        found, replacements = super()._process_audio(audio, **named)
        longest = int(found["feature_attention_mask"].sum(-1).max())
        for name in ("input_features", "feature_attention_mask"):
            found[name] = found[name][..., :longest]
        return found, replacements
