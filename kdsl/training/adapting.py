"""The model that is trained: LoRA adapters in its language model, on 4-bit weights too, or all of its weights."""

from importlib.util import find_spec
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import BitsAndBytesConfig, PreTrainedModel

from kdsl.config_parts import TrainingConfig
from kdsl.errors import KdslError
from kdsl.pretrained import quiet
from kdsl.vlm.checkpoint import load_base

TARGETS = r"^model\.(language_model\.)?layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)$"
"""The language model's linear layers; `all-linear` would hit the encoders of pictures and sounds too."""
_ENCODERS = (".visual.", ".audio_tower.")
RANK, ALPHA, DROPOUT = 16, 32, 0.05


def trainable_model(
    name: str, training: TrainingConfig, device: str | None, dtype: torch.dtype | None = None
) -> PreTrainedModel | PeftModel:
    """The model in a directory or of a hub id, ready to be trained by `training.method`.

    Raises KdslError when it cannot be loaded, and for qlora where bitsandbytes is missing.
    """
    if training.method == "full":
        model = load_base(name, device, dtype=torch.float32)  # the updates of small rates vanish in bfloat16
        for part, weights in model.named_parameters():
            encodes = any(encoder in f".{part}" for encoder in _ENCODERS)
            weights.requires_grad_(training.vision or not encodes)
        return model
    options: dict[str, Any] = {}
    if training.method == "qlora":
        if find_spec("bitsandbytes") is None:
            raise KdslError(
                "training.method: qlora needs bitsandbytes, which is not installed: pip install bitsandbytes, or set "
                "`method: lora`"
            )
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    model = load_base(name, device, dtype, **options)
    if training.method == "qlora":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    model.requires_grad_(False)
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=TARGETS, task_type="CAUSAL_LM"
    )  # fmt: skip
    with quiet():
        return get_peft_model(model, config)
