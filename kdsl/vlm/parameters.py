"""How many parameters a model has, counted without its weights."""

import math
from pathlib import Path

import torch
from safetensors import safe_open

from kdsl.files import parsing
from kdsl.pretrained import loading_in_one_sentence, quiet
from kdsl.vlm.checkpoint import ADAPTER_WEIGHTS, adapter_base, auto_class, find_model, is_adapter, model_config


def parameters_of(name: str) -> int:
    """Of the model in a directory or of a hub id, as it is loaded: of a Qwen2.5-Omni those of the thinker, what is one
    tensor under two names once, of a quantised model as many as of the one that it was made from.

    Of an adapter's directory those of its base too. Raises KdslError as `find_model` and `adapter_base` do.
    """
    folder = Path(name).expanduser()
    if is_adapter(name):
        return parameters_of(adapter_base(folder)) + adapter_parameters(folder)
    location = find_model(name)
    with loading_in_one_sentence(name), quiet(), torch.device("meta"):
        config = model_config(location)
        return sum(weights.numel() for weights in auto_class(config).from_config(config).parameters())


def adapter_parameters(folder: Path) -> int:
    """Of a LoRA adapter's own weights; KdslError where they cannot be read."""
    path = folder / ADAPTER_WEIGHTS
    with parsing(path, "not readable weights"), safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 (no dictionary)
