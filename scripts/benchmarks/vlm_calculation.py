"""What scoring the labels of a sample costs by calculation: operations, time at full peak, memory, prompts at once.

Nothing is run and nothing needs a GPU. Operations are those of matrix products and attentions, two for each product
and sum, of Qwen2-VL models; attention to earlier tokens alone counts half.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.vlm_models import SIZES, random_model
from kdsl.vlm.memory import Shape, batch_bytes

_PEAK = 790.0
"""TFLOP/s of an H200: a large bfloat16 product."""
_SHARE = 0.8
"""Of free memory that batches get, as `kdsl.vlm.memory.free_bytes` has it."""
_CARDS = (24, 48, 80, 141)
_PATCH = 3 * 2 * 14 * 14
_MERGED = 4
"""Patches that become one token."""


@dataclass(frozen=True)
class Operations:
    """Of scoring one sample."""

    vision: float
    prompt: float
    options: float
    logits: float

    @property
    def total(self) -> float:
        return self.vision + self.prompt + self.options + self.logits


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench vlm_calculation", description=__doc__)
    parser.add_argument("--labels", type=int, default=23)
    parser.add_argument("--label-tokens", type=int, default=112, help="of all labels, end tokens included")
    parser.add_argument("--tokens", type=int, default=1300, help="tokens of a prompt, the picture's included")
    parser.add_argument("--picture", type=int, default=720, help="tokens of the picture")
    parser.add_argument("--peak", type=float, default=_PEAK, help=f"TFLOP/s of the device (default {_PEAK:.0f})")
    options = parser.parse_args(arguments)
    if options.picture > options.tokens or options.label_tokens < options.labels:
        parser.error("a prompt is longer than its picture, and a label has a token at least")
    lengths = spread(options.label_tokens, options.labels)
    print(
        f"{options.labels} labels of {sum(lengths)} tokens, {options.tokens} tokens a prompt, {options.picture} of "
        f"them a picture; {options.peak:.0f} TFLOP/s"
    )
    for size in ("2b", "7b"):
        report(size, lengths, options.tokens, options.picture, options.peak)
    return 0


def report(size: str, lengths: Sequence[int], tokens: int, picture: int, peak: float) -> None:
    model = random_model(size, "meta")
    shape = Shape.of(model)
    weights = sum(parameter.numel() for parameter in model.parameters()) * shape.bytes
    found = operations(size, lengths, tokens, picture)
    print(f"\nQwen2-VL-{size.upper()}: {found.total / 1e12:.1f} TFLOP a sample, {found.total / peak / 1e9:.1f} ms")
    parts = {"vision tower": found.vision, "prompt": found.prompt, "labels": found.options, "logits": found.logits}
    for name, part in parts.items():
        print(f"  {name:<14}{part / 1e12:6.2f} TFLOP  {part / peak / 1e9:6.2f} ms  {part / found.total:6.1%}")
    one = batch_bytes(shape, 1, tokens, lengths, picture * _MERGED)
    after = sum(lengths) - len(lengths)
    kept, mask = shape.cache * (tokens + after), after * (tokens + after) * shape.bytes
    print(
        f"  weights {weights / 2**30:.1f} GiB; a prompt {one / 2**20:.0f} MiB, of which keys and values "
        f"{kept / 2**20:.0f}, mask of the labels {mask / 2**20:.2f}"
    )
    eight = [batch_bytes(shape, 8, tokens, lengths, 8 * picture * _MERGED, method) for method in ("pack", "repeat")]
    print(f"  8 prompts: {eight[0] / 2**30:.1f} GiB with the labels packed, {eight[1] / 2**30:.1f} without")
    for card in _CARDS:
        free = _SHARE * (card * 2**30 - weights)
        print(f"  {card:>3} GB: {fitting(shape, free, tokens, lengths, picture * _MERGED)} prompts at once")


def operations(size: str, lengths: Sequence[int], tokens: int, picture: int) -> Operations:
    """Of labels of these lengths, packed, after `tokens` tokens of which a picture has `picture`."""
    shape = SIZES[size]
    hidden, layers, heads = shape["hidden_size"], shape["num_hidden_layers"], shape["num_attention_heads"]
    narrow = hidden // heads * shape["num_key_value_heads"]
    weights = layers * (2 * hidden**2 + 2 * hidden * narrow + 3 * hidden * shape["intermediate_size"])
    after = sum(lengths) - len(lengths)
    patches, width, depth = picture * _MERGED, shape["vision"]["embed_dim"], shape["vision"]["depth"]
    tower = patches * (2 * depth * 12 * width**2 + 2 * _PATCH * width) + 4 * depth * patches**2 * width
    merger = 2 * picture * ((_MERGED * width) ** 2 + _MERGED * width * hidden)
    return Operations(
        vision=tower + merger,
        prompt=2 * weights * tokens + 2 * layers * tokens**2 * hidden,
        options=2 * weights * after + 4 * layers * after * (tokens + after) * hidden,
        logits=2 * (1 + after) * hidden * shape["vocab_size"],
    )


def fitting(shape: Shape, free: float, tokens: int, lengths: Sequence[int], patches: int) -> int:
    """How many prompts go through the model at once."""
    rows = 0
    while batch_bytes(shape, rows + 1, tokens, lengths, (rows + 1) * patches) <= free:
        rows += 1
    return rows


def spread(tokens: int, labels: int) -> list[int]:
    """Lengths of so many labels that are as alike as can be."""
    return [tokens // labels + (row < tokens % labels) for row in range(labels)]
