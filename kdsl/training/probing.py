"""How much memory a step really takes, before the first one: forward and backward on the longest examples."""

from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdsl.config_parts import TrainingConfig
from kdsl.pretrained import is_out_of_memory
from kdsl.training.examples import Example, Examples
from kdsl.training.loss import answer_logits, answer_loss
from kdsl.training.memory import moment_bytes, step_bytes
from kdsl.training.packing import Collator
from kdsl.training.portions import Portion, choose
from kdsl.vlm.conversation import Audio, Picture

SHARE = 0.92
"""Of a GPU's free memory that may be taken: fragments of it are lost, and judging between epochs takes some."""
_LOOKED_AT = 64
"""Examples whose tokens are counted; of many, those that look longest."""


def longest(examples: Sequence[Example], dataset: Examples, pixels: int) -> list[int]:
    """Rows of examples, the longest first, among those with the most text and pictures of so many `pixels`."""

    def rough(row: int) -> int:
        pieces = [piece for message in examples[row].conversation for piece in message.pieces]
        media = sum(isinstance(piece, Picture | Audio) for piece in pieces)
        text = sum(len(str(piece)) for piece in pieces if not isinstance(piece, Picture | Audio))
        return text + len(examples[row].reason) + media * pixels // 28**2

    rows = sorted(range(len(examples)), key=lambda row: -rough(row))[:_LOOKED_AT]
    return sorted(rows, key=lambda row: -_tokens(dataset, row))


def chosen_by_memory(
    candidates: Sequence[Portion],
    training: TrainingConfig,
    model: PreTrainedModel | PeftModel,
    rows: Sequence[int],
    dataset: Examples,
    collator: Collator,
) -> int:
    """The row of the candidate to train with, on the GPU where the model is; its weights and all random states stay.

    `rows` are the examples' from the longest on. Each candidate's step is tried with as many of them as it takes.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    devices = sorted({weights.device for weights in model.parameters()}, key=str)
    free = sum(torch.cuda.mem_get_info(each)[0] + torch.cuda.memory_reserved(each) for each in devices)

    def batch(portion: Portion) -> dict[str, Tensor]:
        return collator([dataset[rows[i % len(rows)]] for i in range(portion.at_once)])

    def calculate(portion: Portion) -> int:
        tokens = sum(_tokens(dataset, rows[i % len(rows)]) for i in range(portion.at_once))
        answers = len(batch(portion)["targets"])
        assert training.method != "none"
        return step_bytes(model, base.config, training.method, portion.checkpointing, tokens, answers)

    def measure(portion: Portion) -> int | None:
        inputs = collator.processor.inputs(batch(portion), base.device)
        return _peak(model, base, inputs, portion, devices)

    return choose(candidates, calculate, measure, int(SHARE * free))


def _peak(
    model: Any, base: PreTrainedModel, inputs: dict[str, Tensor], portion: Portion, devices: list[torch.device]
) -> int | None:
    """Bytes that were held at most, with what the optimiser is going to hold; None where they did not suffice."""
    torch.cuda.empty_cache()
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)
    if portion.checkpointing:
        base.activation_checkpointing_enable()
    model.train()
    try:
        with torch.random.fork_rng(devices):
            with torch.autocast("cuda", torch.bfloat16, enabled=torch.cuda.is_bf16_supported()):
                logits = answer_logits(model, base, inputs)
                loss = answer_loss(logits, inputs["targets"], inputs["weights"])
            loss.backward()
        return sum(map(torch.cuda.max_memory_allocated, devices)) + moment_bytes(model)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
    finally:
        model.zero_grad(set_to_none=True)
        base.activation_checkpointing_disable()


def _tokens(dataset: Examples, row: int) -> int:
    encoded = dataset[row]
    return len(encoded.prompt) + len(encoded.answer)
