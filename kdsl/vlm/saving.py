"""A whole model as a directory that every tool loads: vLLM, transformers, other trainers, and KDSL."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

from kdsl.files import parsing, write_atomically
from kdsl.json_file import read_json
from kdsl.pretrained import directory_of, quiet
from kdsl.vlm.checkpoint import model_config
from kdsl.vlm.pixels import PixelBudget

SHARD = 4 << 30
"""Bytes of a weight file, at most."""
_BESIDE = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "vocab.*",
    "merges.txt",
    "*.tiktoken",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.*",
    "*processor_config.json",
    "LICENSE*",
)
"""What a model's directory holds besides weights; README.md and other files tell of the base, not of this model."""
_PREPROCESSING = ("preprocessor_config.json", "processor_config.json")


def stored_type(name: str) -> torch.dtype:
    """The type of a model's weights in its files: bfloat16 for most that are published.

    Raises KdslError as `directory_of` does, and for weight files that cannot be read.
    """
    folder = directory_of(name)
    config = model_config(folder)
    if isinstance(config.dtype, torch.dtype):
        return config.dtype
    for path in sorted(folder.glob("*.safetensors")):
        with parsing(path, "not readable weights"), safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (not a dictionary)
                return file.get_tensor(key).dtype
    return torch.float32


def save_model(
    model: PreTrainedModel, base: str, folder: Path, budget: PixelBudget, state: Mapping[str, Tensor] | None = None
) -> None:
    """Write the model, which has the shape of `base`, a directory or a hub id, with all that stands beside the weights
    of that, but for the sizes of pictures, which are `budget`'s.

    Weights get the type of the base's, and names as published models have them. `state`: they are these instead of the
    model's own. `folder` is new or empty; the caller makes sure that nobody sees it half-written.
    """
    stored = _as_stored(model.state_dict() if state is None else state, stored_type(base))
    with quiet():
        model.save_pretrained(folder, state_dict=stored, max_shard_size=SHARD)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o666 & ~_umask())  # safetensors lets nobody else read them
    copy_companions(base, folder, budget)


def _as_stored(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """In main memory and of the type that files have; what is one tensor under two names stays one, and is written
    once."""
    known: dict[tuple[int, torch.Size], Tensor] = {}
    stored = {}
    for name, weights in state.items():
        place = weights.data_ptr(), weights.shape
        if place not in known:
            weights = weights.detach()
            known[place] = weights.to("cpu", dtype) if weights.is_floating_point() else weights.cpu()
        stored[name] = known[place]
    return stored


def copy_companions(base: str, folder: Path, budget: PixelBudget) -> None:
    """Write what stands beside the weights of `base` into a folder that has weights of its shape, its configuration
    too: older versions of other tools cannot read all that newer versions of transformers write."""
    source = directory_of(base)
    for pattern in _BESIDE:
        for path in sorted(source.glob(pattern)):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
    if read_json(source / "config.json").get("model_type") == "qwen2_5_omni":
        _write_thinker(source, folder)
    for name in _PREPROCESSING:
        if (folder / name).is_file():
            write_atomically(folder / name, _with_budget(read_json(folder / name), budget))


def _write_thinker(source: Path, folder: Path) -> None:
    """The configuration of the part of a Qwen2.5-Omni that is here: the one that writes."""
    config = model_config(source)
    config.architectures = ["Qwen2_5OmniThinkerForConditionalGeneration"]
    config.save_pretrained(folder)


def _with_budget(preprocessing: dict[str, Any], budget: PixelBudget) -> str:
    """With the sizes of pictures under the names of all versions of transformers; nothing new where it has none."""
    images = preprocessing.get("image_processor", preprocessing)
    if "patch_size" in images:
        images["size"] = {"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels}
        images["min_pixels"], images["max_pixels"] = budget.min_pixels, budget.max_pixels
    return json.dumps(preprocessing, ensure_ascii=False, indent=2) + "\n"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
