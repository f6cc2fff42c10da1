"""The loss of answers: cross entropy of their tokens, weighted and smoothed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kdsl.training.packing import packed


def answer_logits(model: nn.Module, base: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """[n, vocabulary], for `places` of a batch of `kdsl.training.packing.Collator`, and for nothing else.

    `model` is `base` or what wraps it: adapters, or what spreads it over processes.
    """
    with _only_at(base, batch["places"]):
        output: Any = model(**packed(base, batch))
    return output.logits


def answer_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, total: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Σ w · l / Σ w over tokens, with l = -(1 - ε) ln p(target) - ε / V · Σ ln p(v) over the V tokens v.

    logits [n, V], targets and weights w [n], ε `smoothing` (Szegedy et al. 2016, as `label_smoothing_factor` of
    transformers has it). `total`: Σ w of the whole step where the step has several batches, so that neither their
    number nor what meets in one of them changes anything.
    """
    losses = nn.functional.cross_entropy(
        logits.float(), targets.to(logits.device), reduction="none", label_smoothing=smoothing
    )
    weights = weights.to(losses.device)
    return (losses * weights).sum() / (weights.sum() if total is None else total.to(losses.device))


@contextmanager
def _only_at(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Within it the model computes no logits but those of states at `places` of the flattened rows.

    At 150 thousand tokens, logits of whole prompts would need more memory than all else. `logits_to_keep` of
    transformers takes the same columns of all rows alone, and is not for all families.
    """

    def chosen(head: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (arguments[0].flatten(0, -2)[places.to(arguments[0].device)],)

    handle = model.get_output_embeddings().register_forward_pre_hook(chosen)
    try:
        yield
    finally:
        handle.remove()


def total_weight(batches: list[dict[str, Tensor]]) -> Tensor:
    return torch.stack([batch["weights"].sum() for batch in batches]).sum()
