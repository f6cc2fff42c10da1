"""How much memory fine-tuning takes, by calculation.

The numbers are those of what autograd keeps for the backward pass of a Qwen layer in transformers, under autocast to
bfloat16, counted by its hooks for saved tensors (tests/training/test_training_memory.py counts again). Not counted:
what the encoder of pictures needs while it runs, which is frozen and keeps nothing, and what the allocator leaves
unused.
"""

from typing import Any, Literal

from torch import nn
from transformers import PretrainedConfig

from kdsl.training.adapting import RANK

GIB = 2**30
_ADAPTED = 7
"""Linear layers with adapters in a layer of the model."""
_LOGIT_BYTES = 16
"""For every token of the vocabulary: a logit, the same in float32, its log-softmax, and gradients of these."""

Method = Literal["lora", "qlora", "full"]


def fixed_bytes(model: nn.Module) -> int:
    """Weights as they are held, and of those that are trained the gradient and AdamW's two moments."""
    return sum(
        weights.numel() * weights.element_size() * (4 if weights.requires_grad else 1)
        for weights in model.parameters()
    )


def moment_bytes(model: nn.Module) -> int:
    """AdamW's two moments alone, which the first step makes."""
    return sum(2 * w.numel() * w.element_size() for w in model.parameters() if w.requires_grad)


def layer_bytes(config: PretrainedConfig, method: Method) -> int:
    """What one layer of the language model keeps of one token for the backward pass."""
    text: Any = config.get_text_config()
    hidden, inside, heads = text.hidden_size, text.intermediate_size, text.num_attention_heads
    keys = (getattr(text, "head_dim", None) or hidden // heads) * text.num_key_value_heads
    log_sums = 4 * heads + 8  # of attention and the two norms
    if method == "full":
        return 30 * hidden + 8 * inside + 4 * keys + log_sums
    # What goes into an adapter is kept by the base's layer and by the adapter, behind its own dropout.
    return 48 * hidden + 12 * inside + 4 * keys + log_sums + 2 * RANK * _ADAPTED


def token_bytes(config: PretrainedConfig, method: Method, checkpointing: bool) -> int:
    """What all layers keep of one token. With checkpointing that is their input alone, and one layer's inside."""
    layers = config.get_text_config().num_hidden_layers
    if not checkpointing:
        return layers * layer_bytes(config, method)
    residual = 4 if method == "full" else 2
    return layers * residual * config.get_text_config().hidden_size + layer_bytes(config, method)


def cast_bytes(model: nn.Module, config: PretrainedConfig, method: Method, checkpointing: bool) -> int:
    """The bfloat16 copies of float32 weights that autocast makes and the backward pass keeps, of full fine-tuning."""
    if method != "full":
        return 0
    layers = sum(w.numel() for name, w in model.named_parameters() if ".layers." in name and w.dim() == 2)
    return 2 * (layers // config.get_text_config().num_hidden_layers if checkpointing else layers)


def step_bytes(
    model: nn.Module, config: PretrainedConfig, method: Method, checkpointing: bool, tokens: int, answers: int
) -> int:
    """All of it for a batch of so many tokens, of which `answers` are tokens of answers."""
    return (
        fixed_bytes(model)
        + cast_bytes(model, config, method, checkpointing)
        + tokens * token_bytes(config, method, checkpointing)
        + answers * config.get_text_config().vocab_size * _LOGIT_BYTES
    )
