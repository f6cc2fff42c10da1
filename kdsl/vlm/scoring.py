"""The exact log-probability of every option as the whole answer, with one pass over the prompt.

The prompt's keys and values are computed once. Then either they are repeated for every option, so that all options go
through the model as one batch, or all options are packed behind each other in one suffix, where a token sees the
prompt and the earlier tokens of its own option alone. Both give what one full forward an option gives.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from kdsl.vlm.checkpoint import FAMILIES
from kdsl.vlm.memory import VOCABULARY_AT_ONCE, Method, Shape, batch_bytes

NEAR = 0.5
"""Log-probability by which the best option of a model of 16 bits has to lead in a batch of several prompts.

More than twice of what a batch changes, which was 0.17 at most in every measurement (scripts/bench vlm_noise).
"""


@torch.inference_mode()
def score_options(
    model: PreTrainedModel, batch: dict[str, Tensor], options: Sequence[Sequence[int]], method: Method | None = None
) -> Tensor:
    """Summed log-probabilities, float64 [batch, options], of options given as token ids; whole answers end in the end
    token.

    `batch` is left-padded (`kdsl.vlm.processor.collate`). The method is chosen by memory unless given; "pack" takes
    prompts within a sliding window. Out of memory passes through.
    """
    prefix = _read_prefix(model, batch)
    starts = torch.tensor([option[0] for option in options], device=prefix.last_hidden.device)
    first = _log_probabilities(model, prefix.last_hidden, starts.expand(len(prefix.last_hidden), -1))
    if max(map(len, options)) == 1:
        return first.double().cpu()
    if method is None:
        method = choose_method(model, batch["input_ids"].shape[1], [len(option) for option in options])
    rest = (_score_repeated if method == "repeat" else _score_packed)(model, prefix, options)
    return first.double().cpu() + rest.double().cpu()


def near_ties(scores: Tensor, dtype: torch.dtype) -> list[int]:
    """Rows of `score_options` whose best option leads by less than what their batch may have to do with it.

    A product of 16-bit matrices adds its numbers up in another order when it has another shape, so that companions
    and padding move a score. These rows are to be scored again alone: whoever leads then leads in every batch, for a
    larger lead is none that a batch can turn around. Weights of 32 bits have no such rows.
    """
    if dtype.itemsize > 2 or scores.shape[1] < 2:
        return []
    first, second = scores.topk(2, dim=1).values.unbind(dim=1)
    return torch.nonzero(first - second < NEAR).flatten().tolist()


def choose_method(model: PreTrainedModel, n_tokens: int, lengths: Sequence[int]) -> Method:
    """What takes less memory for options of these lengths, which was also the quicker in every measurement: nearly
    always packing.

    Repeating copies the prompt's keys and values for every option; packing holds a mask of every token of the options
    against every token. Packed options would see beyond a sliding window that is narrower than prompt and option.
    """
    window = getattr(model.config.get_text_config(), "sliding_window", None)
    if window is not None and n_tokens + max(lengths) > window:
        return "repeat"
    shape = Shape.of(model)
    packed = batch_bytes(shape, 1, n_tokens, lengths, method="pack")
    return "pack" if packed <= batch_bytes(shape, 1, n_tokens, lengths, method="repeat") else "repeat"


@dataclass(frozen=True, slots=True)
class _Prefix:
    cache: Cache
    last_hidden: Tensor
    """[batch, hidden]: the state that predicts the first token of the answer."""
    attention_mask: Tensor
    """[batch, tokens]"""
    next_position: Tensor
    """[batch]: the rotary position of the answer's first token."""


def _read_prefix(model: PreTrainedModel, batch: dict[str, Tensor]) -> _Prefix:
    positions, deltas = rotary_positions(model, batch)
    output = model.model(**batch, position_ids=positions, use_cache=True)
    next_position = batch["attention_mask"].sum(dim=1) + deltas.to(batch["attention_mask"].device)
    return _Prefix(output.past_key_values, output.last_hidden_state[:, -1], batch["attention_mask"], next_position)


def rotary_positions(model: PreTrainedModel, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The positions of tokens, and how far they run ahead of the tokens [batch].

    [3, batch, tokens] in time, height and width for models that see, [batch, tokens] for others. Given to the
    model explicitly, for what it keeps of an earlier call (`rope_deltas`) may be of other prompts.
    """
    mask, family = batch["attention_mask"], model.config.model_type
    if not FAMILIES[family].sees:
        return (mask.cumsum(dim=1) - 1).masked_fill(mask == 0, 0), torch.zeros(len(mask), dtype=mask.dtype)
    more = {"image_grid_thw": batch.get("image_grid_thw"), "attention_mask": mask}
    if family == "qwen2_5_omni_thinker":
        frames = batch.get("feature_attention_mask")
        more["audio_seqlens"] = None if frames is None else frames.sum(dim=1)
    else:
        more["mm_token_type_ids"] = batch["mm_token_type_ids"]
    positions, deltas = model.model.get_rope_index(batch["input_ids"], **more)
    return positions, deltas.view(-1)


def _score_repeated(model: PreTrainedModel, prefix: _Prefix, options: Sequence[Sequence[int]]) -> Tensor:
    n_prompts, n_options = len(prefix.next_position), len(options)
    device = prefix.attention_mask.device
    longest = max(map(len, options)) - 1
    inputs = torch.zeros((n_options, longest), dtype=torch.long, device=device)
    targets = torch.zeros_like(inputs)
    real = torch.zeros_like(inputs)
    for row, option in enumerate(options):
        inputs[row, : len(option) - 1] = torch.tensor(option[:-1])
        targets[row, : len(option) - 1] = torch.tensor(option[1:])
        real[row, : len(option) - 1] = 1
    prefix.cache.batch_repeat_interleave(n_options)
    real = real.repeat(n_prompts, 1)
    positions = prefix.next_position[:, None] + torch.arange(longest, device=device)
    hidden = _continue(
        model,
        prefix.cache,
        inputs.repeat(n_prompts, 1),
        torch.cat([prefix.attention_mask.repeat_interleave(n_options, dim=0), real], dim=1),
        positions.repeat_interleave(n_options, dim=0),
    )
    chosen = real.bool()
    rows = torch.arange(n_prompts * n_options, device=device)[:, None].expand_as(chosen)[chosen]
    scored = targets.repeat(n_prompts, 1)[chosen]
    tokens = _log_probabilities(model, hidden[chosen.to(hidden.device)], scored[:, None])[:, 0]
    return _sum_by(tokens, rows, n_prompts * n_options).view(n_prompts, n_options)


def _score_packed(model: PreTrainedModel, prefix: _Prefix, options: Sequence[Sequence[int]]) -> Tensor:
    n_prompts, n_options = len(prefix.next_position), len(options)
    device = prefix.attention_mask.device
    lengths = torch.tensor([len(option) - 1 for option in options], device=device)
    total = int(lengths.sum())
    inputs = torch.tensor([token for option in options for token in option[:-1]], device=device)
    targets = torch.tensor([token for option in options for token in option[1:]], device=device)
    owner = torch.repeat_interleave(torch.arange(n_options, device=device), lengths)
    starts = torch.tensor([0, *accumulate(lengths.tolist())][:-1], device=device)
    order = torch.arange(total, device=device)
    own = (owner[:, None] == owner[None, :]) & (order[:, None] >= order[None, :])
    seen = prefix.attention_mask.bool()[:, None, :].expand(-1, total, -1)
    allowed = torch.cat([seen, own.expand(n_prompts, -1, -1)], dim=2)[:, None]
    mask = torch.zeros(allowed.shape, dtype=model.dtype, device=device)
    mask.masked_fill_(~allowed, torch.finfo(model.dtype).min)
    positions = prefix.next_position[:, None] + (order - starts[owner])
    with _attention_with_free_masks(model):
        hidden = _continue(model, prefix.cache, inputs.expand(n_prompts, -1), mask, positions)
    tokens = _log_probabilities(model, hidden.flatten(0, 1), targets.repeat(n_prompts)[:, None])[:, 0]
    rows = (torch.arange(n_prompts, device=device)[:, None] * n_options + owner).flatten()
    return _sum_by(tokens, rows, n_prompts * n_options).view(n_prompts, n_options)


def _continue(model: PreTrainedModel, cache: Cache, inputs: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
    """Last hidden states [batch, tokens, hidden] of tokens after a cached prompt; `positions` are [batch, tokens]."""
    in_space = FAMILIES[model.config.model_type].sees
    output = model.model(
        input_ids=inputs,
        attention_mask=mask,
        position_ids=positions.expand(3, *positions.shape) if in_space else positions,
        past_key_values=cache,
        use_cache=True,
    )
    return output.last_hidden_state


@contextmanager
def _attention_with_free_masks(model: PreTrainedModel) -> Iterator[None]:
    """Flash-attention takes no masks but of padding; keys and values are the same for every implementation."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    if before in ("sdpa", "eager"):
        yield
        return
    config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation = before


def _log_probabilities(model: PreTrainedModel, hidden: Tensor, tokens: Tensor) -> Tensor:
    """Float32 [rows, k]: log p of each of `tokens` [rows, k] by the state [rows, hidden] before it."""
    chosen = torch.zeros(tokens.shape, device=hidden.device)
    total = torch.full(tokens.shape[:1], -torch.inf, device=hidden.device)
    first = 0
    for logits in _logits(model, hidden):
        places = tokens.to(logits.device) - first
        here = (places >= 0) & (places < logits.shape[1])
        found = logits.gather(1, places.clamp(0, logits.shape[1] - 1)).masked_fill(~here, 0.0)
        chosen = chosen.to(logits.device) + found
        total = torch.logaddexp(total.to(logits.device), logits.logsumexp(dim=1))
        first += logits.shape[1]
    return chosen - total[:, None]


def _logits(model: PreTrainedModel, hidden: Tensor) -> Iterator[Tensor]:
    """Float32 [rows, part of the vocabulary], one part after the other.

    Logits of 16 bits from 16 to 32 are multiples of 1/8, so that what differs in its last digit differs by an eighth.
    """
    head = model.lm_head
    if type(head) is not nn.Linear or head.weight.device.type == "meta":  # has an adapter, or is loaded when called
        yield head(hidden).float()
        return
    wide = hidden.to(head.weight.device).float()
    for part in head.weight.split(VOCABULARY_AT_ONCE):
        yield nn.functional.linear(wide, part.float())


def _sum_by(values: Tensor, rows: Tensor, n_rows: int) -> Tensor:
    values = values.double()
    return torch.zeros(n_rows, dtype=values.dtype, device=values.device).index_add(0, rows.to(values.device), values)


@torch.inference_mode()
def mean_hidden_states(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Float32 [batch, hidden]: the mean of the last hidden states over all tokens that are not padding.

    `batch` as `kdsl.vlm.processor.collate` makes it. Out of memory passes through.
    """
    positions, _ = rotary_positions(model, batch)
    hidden = model.model(**batch, position_ids=positions, use_cache=False).last_hidden_state
    real = batch["attention_mask"].to(hidden.device)[..., None]
    return ((hidden.float() * real).sum(dim=1) / real.sum(dim=1)).cpu()
