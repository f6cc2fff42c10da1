"""How far the scores of a prompt depend on its batch: near ties of labels are closer than that.

A matrix product of bfloat16 numbers adds them up in another order when it has another shape. The same prompts are
scored alone, among others and beside longer ones, by a model with random weights; a label that leads by less than the
largest difference could lose its lead to another batch. KDSL scores rows again alone whose lead is below
`kdsl.vlm.scoring.NEAR`, which must be more than twice that.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from benchmarks.measurement import Measurement
from benchmarks.vlm import random_labels
from benchmarks.vlm_models import SIZES, random_batch, random_model
from kdsl.vlm.scoring import NEAR, score_options

SHORTER = 15
"""Tokens, before the picture, that a prompt lacks beside a longer one."""


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
    halves = torch.cat(
        [score_options(model, part(batch, half, patches), labels) for half in (slice(0, 1), slice(1, options.prompts))]
    )
    padded = {name: value.clone() for name, value in batch.items()}
    padded["attention_mask"][1:, :SHORTER] = 0
    shorter = torch.cat([alone[:1], torch.cat([score_options(model, cut, labels) for cut in cuts(batch, patches)])])
    beside = score_options(model, padded, labels)
    for name, reference, other in (
        ("alone and together", alone, among),
        ("alone and among one less", alone, halves),
        ("alone and beside a longer one", shorter, beside),
    ):
        difference = (reference - other).abs().max().item()
        decided = reference.argmax(dim=1) != other.argmax(dim=1)
        lead = leads(reference)
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


def cuts(batch: dict[str, Tensor], patches: int) -> Iterator[dict[str, Tensor]]:
    """All prompts but the first, without their first tokens, each alone."""
    for number in range(1, len(batch["input_ids"])):
        one = row(batch, number, patches)
        for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
            one[name] = one[name][:, SHORTER:]
        yield one


def row(batch: dict[str, Tensor], number: int, patches: int) -> dict[str, Tensor]:
    return part(batch, slice(number, number + 1), patches)


def part(batch: dict[str, Tensor], rows: slice, patches: int) -> dict[str, Tensor]:
    """Those rows of a batch whose pictures have `patches` patches each."""
    pixels = slice(rows.start * patches, rows.stop * patches)
    return {name: value[pixels if name == "pixel_values" else rows] for name, value in batch.items()}


def leads(scores: Tensor) -> Tensor:
    """[rows]: by how much the first label's log-probability is above the second's."""
    best = scores.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]
