"""What flash-attention computes, in plain torch, called by transformers as it calls the real package.

So the code of transformers that takes padding out and puts it back runs in tests without a GPU. As the real package
does, it takes no mask: what is padded must have been taken out.
"""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel, modeling_flash_attention_utils


def use_flash(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Makes the model compute by flash-attention; what comes back lists queries and keys of every call."""
    calls: list[tuple[int, int]] = []

    def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0,
                               softmax_scale=None, causal=False, window_size=(-1, -1)):  # fmt: skip
        calls.append((len(q), len(k)))
        bounds = zip(cu_seqlens_q[:-1], cu_seqlens_q[1:], cu_seqlens_k[:-1], cu_seqlens_k[1:], strict=True)
        rows = [_attend(q[a:b], k[c:d], v[c:d], softmax_scale, causal, window_size) for a, b, c, d in bounds]
        return torch.cat(rows)

    def flash_attn_func(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1)):
        calls.append((q.shape[0] * q.shape[1], k.shape[0] * k.shape[1]))
        rows = [_attend(*row, softmax_scale, causal, window_size) for row in zip(q, k, v, strict=True)]
        return torch.stack(rows)

    def imports(*names: object, **named: object) -> tuple:
        utils = modeling_flash_attention_utils
        return flash_attn_func, flash_attn_varlen_func, None, utils._pad_input, utils._unpad_input

    monkeypatch.setattr(modeling_flash_attention_utils, "_lazy_imports", imports)
    monkeypatch.setattr(modeling_flash_attention_utils, "_loaded_implementation", None)
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.config._attn_implementation_internal = "flash_attention_2"
    return calls


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float | None, causal: bool, window: tuple[int, int]) -> Tensor:
    """[queries, heads, head] of one sequence; the last query sees the last key."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    back = torch.arange(len(q))[:, None] + len(k) - len(q) - torch.arange(len(k))[None]
    seen = torch.ones_like(back, dtype=torch.bool)
    if causal:
        seen &= back >= 0
    if window[0] >= 0:
        seen &= back <= window[0]
    q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
    return scaled_dot_product_attention(q, k, v, seen, scale=scale)[0].transpose(0, 1)
