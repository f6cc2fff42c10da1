"""An adapter merged into its base: one model, which is served without LoRA."""

import warnings
from pathlib import Path

from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from kdsl.errors import KdslError
from kdsl.pretrained import quiet
from kdsl.progress import Progress, track
from kdsl.vlm.checkpoint import find_model, load_adapters, load_base, model_config
from kdsl.vlm.saving import stored_type

_TIED = ("lm_head", "embed_tokens")
"""Layers that are one tensor in many models."""


def merged(base: str, adapter: Path, progress: Progress | None = None) -> PreTrainedModel:
    """The base with the adapter's updates in its weights, in main memory and of the type that its files have.

    Every layer is computed in float32 and rounded once. Raises KdslError as `load_base` and `load_adapters` do, for a
    base that is quantised, and for an adapter whose updates are no numbers or tear apart what is one tensor.
    """
    if getattr(model_config(find_model(base)), "quantization_config", None) is not None:
        raise KdslError(
            f"{base}: has quantised weights, which nothing can be merged into; name the model that they were made "
            "from in base_model_name_or_path of the adapter's adapter_config.json, or as large:"
        )
    model = load_adapters(load_base(base, "cpu", stored_type(base)), {"default": adapter})
    _require_apart(model, base, adapter)
    layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    for layer in track(layers, "Merging", len(layers), progress):
        _merge(layer, adapter)
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All adapters are already merged")
        # What is merged stays as it is; layers that were trained as a whole (`modules_to_save`) take the base's place.
        whole: PreTrainedModel = model.merge_and_unload()
    return whole


def _merge(layer: LoraLayer, adapter: Path) -> None:
    inner = layer.get_base_layer()
    dtype = inner.weight.dtype
    inner.float()
    try:
        layer.merge(safe_merge=True)
    except ValueError as error:  # peft checks for infinite numbers
        raise KdslError(f"{adapter}: its weights hold no numbers (NaN or infinite); train it again") from error
    inner.to(dtype)


def _require_apart(model: PeftModel, base: str, adapter: Path) -> None:
    """Raise KdslError where one of two layers that share their weights was trained without the other."""
    plain = model.get_base_model()
    config = model.peft_config["default"]
    trained = [*(config.target_modules or ()), *(config.modules_to_save or ())]
    named = next((name for name in trained if name.rpartition(".")[2] in _TIED), None)
    if named is not None and plain.config.get_text_config().tie_word_embeddings:
        raise KdslError(
            f"{adapter}: changes {named.rpartition('.')[2]}, but in {base} {' and '.join(_TIED)} are one tensor, so "
            "that no merged model is the same; serve it as a LoRA module, or train an adapter of other layers"
        )
