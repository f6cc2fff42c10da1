"""Prompts as vectors: what a model's last layer makes of them, on average over their tokens."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kdsl.vlm.scoring import rotary_positions


@torch.inference_mode()
def mean_hidden_states(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Float32 [batch, hidden]: the mean of the last hidden states over all tokens that are not padding.

    `batch` as `kdsl.vlm.processor.collate` makes it. Out of memory passes through.
    """
    positions, _ = rotary_positions(model, batch)
    hidden = model.model(**batch, position_ids=positions, use_cache=False).last_hidden_state
    real = batch["attention_mask"].to(hidden.device)[..., None]
    return ((hidden.float() * real).sum(dim=1) / real.sum(dim=1)).cpu()
