"""How far the scores of a prompt depend on its batch: near ties of labels are closer than that.

A matrix product of bfloat16 numbers adds them up in another order when it has another shape. The same prompts are
scored alone, together and beside longer ones, by a model with random weights, and in float32; a label that leads by
less than twice the largest difference could lose its lead to another batch. KDSL scores prompts again alone whose lead
is below `kdsl.vlm.scoring.NEAR`.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2VLForConditionalGeneration

from benchmarks.measurement import Measurement
from benchmarks.vlm import random_labels
from benchmarks.vlm_models import SIZES, random_batch, random_model
from kdsl.vlm.scoring import NEAR, score_options


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench vlm_noise", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", choices=list(SIZES), help="default: small on the CPU, 2b on a GPU")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--labels", type=int, default=23)
    parser.add_argument("--tokens", type=int, default=400, help="tokens of a prompt, the picture's included")
    parser.add_argument("--side", type=int, default=16, help="the picture is SIDE x SIDE tokens (default 16)")
    parser.add_argument("--json", type=Path, help="a file that gets each figure as a line of JSON")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU")
    if options.tokens < options.side**2 + 40:
        parser.error("the prompt is too short for its picture: raise --tokens or lower --side")
    size = options.size or ("small" if options.device == "cpu" else "2b")
    model = random_model(size, options.device).to(torch.bfloat16)
    sharpen(model)
    batch = random_batch(model, options.prompts, options.tokens, options.side)
    labels = random_labels(options.labels, model.config.text_config.vocab_size)
    patches = (2 * options.side) ** 2
    alone = torch.cat([score_options(model, row(batch, n, patches), labels) for n in range(options.prompts)])
    among = score_options(model, batch, labels)
    longer = score_options(model, padded(batch, 64), labels)
    exact = score_options(model.float(), batch, labels)
    for name, other in (("alone and together", among), ("alone and padded", longer), ("bfloat16 and float32", exact)):
        difference = (alone - other).abs().max().item()
        decided = alone.argmax(dim=1) != other.argmax(dim=1)
        lead = leads(alone)
        note = f"{int((lead < 2 * difference).sum())} of {options.prompts} leads are within twice that, "
        note += f"{int((lead < NEAR).sum())} within {NEAR}, {int(decided.sum())} are decided otherwise"
        print(f"{size}, {name}: log-probabilities differ by {difference:.1e} at most; {note}")
        Measurement(f"{name}: differ by {difference:.1e}", note=note).append_to(options.json)
    return 0


def sharpen(model: Qwen2VLForConditionalGeneration) -> None:
    """Gives random weights what trained ones have: embeddings of size one, and logits that differ by tens."""
    with torch.no_grad():
        words = model.get_input_embeddings().weight
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight * 20)  # which may be the same tensor
        words.mul_(50)


def row(batch: dict[str, Tensor], number: int, patches: int) -> dict[str, Tensor]:
    return part(batch, slice(number, number + 1), patches)


def part(batch: dict[str, Tensor], rows: slice, patches: int) -> dict[str, Tensor]:
    """Those rows of a batch whose pictures have `patches` patches each."""
    pixels = slice(rows.start * patches, rows.stop * patches)
    return {name: value[pixels if name == "pixel_values" else rows] for name, value in batch.items()}


def padded(batch: dict[str, Tensor], by: int) -> dict[str, Tensor]:
    """As beside a prompt that is longer by so many tokens: zeros on the left."""
    texts = ("input_ids", "attention_mask", "mm_token_type_ids")
    return {name: functional.pad(value, (by, 0)) if name in texts else value for name, value in batch.items()}


def leads(scores: Tensor) -> Tensor:
    """[rows]: by how much the first label's log-probability is above the second's."""
    best = scores.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]
