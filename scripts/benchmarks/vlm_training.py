"""LoRA training of Qwen2-VL: which batches fit 24, 48 and 80 GB by calculation, and steps timed with random weights.

The calculation counts what `kdsl train` holds on a GPU: weights, gradients and optimiser states, and with activation
checkpointing the input of every layer and one layer's inside. Logits are computed for answers only and count nothing.
Timed steps are real ones: forward, backward, AdamW (`--device cuda --size 7b` where there is a GPU).
"""

import argparse
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import Qwen2VLForConditionalGeneration

from benchmarks.measurement import Measurement
from benchmarks.vlm_models import SIZES, matrix_peak, random_batch, random_model
from kdsl.training.adapting import ALPHA, RANK, TARGETS

GIB = 2**30
CARDS = (24, 48, 80)
"""Memory of common GPUs, in GB as sold; 5 % and the CUDA context are not for us."""
CONTEXT = 0.8 * GIB
ANSWER = 10
"""Tokens of an answer."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench vlm_training", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", choices=list(SIZES), help="default: small on the CPU, 7b on a GPU")
    parser.add_argument("--tokens", type=int, default=1000, help="tokens of an example, the picture's included")
    parser.add_argument("--side", type=int, default=16, help="the picture is SIDE x SIDE tokens (default 16)")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=Path, help="a file that gets each figure as a line of JSON")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU")
    console = Console(width=100, file=sys.stdout)
    console.print(planned(options.tokens))
    size = options.size or ("small" if options.device == "cpu" else "7b")
    model = with_adapters(random_model(size, options.device))
    timed(model, options.device, options.batch, options.tokens, options.side, options.steps).show(size, options)
    return 0


def planned(tokens: int) -> Table:
    """The largest batches by calculation."""
    table = Table(title=f"Examples of {tokens} tokens at once, by calculation", title_justify="left")
    for column in ("model", "method", "fixed GiB", "GiB an example", *(f"{card} GB" for card in CARDS)):
        table.add_column(column, justify="left" if column in ("model", "method") else "right")
    for size in ("2b", "7b"):
        with torch.device("meta"):
            shape = random_model(size, "meta")
        for method in ("lora", "qlora", "full"):
            fixed, each = needed(shape, method, tokens)
            fits = [int((card * 1e9 * 0.95 - CONTEXT - fixed) // each) for card in CARDS]
            cells = [str(number) if number > 0 else "-" for number in fits]
            table.add_row(f"Qwen2-VL-{size.upper()}", method, f"{fixed / GIB:.1f}", f"{each / GIB:.2f}", *cells)
    return table


def needed(model: Qwen2VLForConditionalGeneration, method: str, tokens: int) -> tuple[float, float]:
    """Bytes that training needs at any batch size, and bytes for every example of `tokens` tokens."""
    every = sum(weights.numel() for weights in model.parameters())
    vision = sum(weights.numel() for weights in model.model.visual.parameters())
    targets = [part for name, part in model.named_modules() if isinstance(part, nn.Linear) and _adapted(name)]
    adapters = sum(RANK * (part.in_features + part.out_features) for part in targets)
    if method == "full":  # float32 weights, gradients and two moments; the frozen vision tower has weights alone
        fixed = 16 * (every - vision) + 4 * vision
    elif method == "lora":
        fixed = 2 * every + 16 * adapters
    else:  # 4 bits and a double-quantised scale for every 64 weights of the language model's linear layers
        quantised = sum(part.weight.numel() for part in targets)
        fixed = 2 * (every - quantised) + 0.53 * quantised + 16 * adapters
    text = model.config.text_config
    saved = 2 * text.num_hidden_layers * text.hidden_size
    inside = 2 * (10 * text.hidden_size + 4 * text.intermediate_size)
    casts = 0 if method == "full" else 4 * (6 * text.hidden_size + text.intermediate_size)  # adapters are float32
    return fixed, tokens * (saved + inside + casts)


def _adapted(name: str) -> bool:
    return re.match(TARGETS, name) is not None


def with_adapters(model: Qwen2VLForConditionalGeneration) -> nn.Module:
    """The model as `kdsl train` trains it."""
    model.requires_grad_(False)
    model.activation_checkpointing_enable()
    model.enable_input_require_grads()
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.05, target_modules=TARGETS, task_type="CAUSAL_LM")
    return get_peft_model(model, config).train()


@dataclass(frozen=True)
class Timed:
    tokens_per_second: float
    memory: float
    """GiB at most: of the device, or of this process on the CPU."""
    share: float | None
    """Of the GPU's matrix peak, what recomputing costs not counted; None on the CPU."""
    loss: tuple[float, float]
    """Of the first and the last step."""

    def show(self, size: str, options: argparse.Namespace) -> None:
        line = f"{size}, {options.device}, batch {options.batch} of {options.tokens} tokens: "
        line += f"{self.tokens_per_second:,.0f} tokens/s, at most {self.memory:.1f} GiB"
        if self.share is not None:
            line += f", {self.share:.1%} of the matrix peak"
        what = f"batch {options.batch} of {options.tokens} tokens"
        Measurement(what, self.tokens_per_second, "tokens/s", self.memory, self.share).append_to(options.json)
        print(f"{line}; loss {self.loss[0]:.2f} to {self.loss[1]:.2f}")


def timed(model: nn.Module, device: str, rows: int, tokens: int, side: int, steps: int) -> Timed:
    """Train on one random batch; the first step warms up and is not timed."""
    batch = random_batch(model.get_base_model(), rows, tokens, side)
    batch["labels"] = torch.full_like(batch["input_ids"], -100)
    batch["labels"][:, -ANSWER:] = batch["input_ids"][:, -ANSWER:]
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3)
    losses, begun = [], 0.0
    for step in range(steps + 1):
        if step == 1:
            begun = _now(device)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            labels = batch["labels"][:, -ANSWER - 1 :]
            loss = model(**{**batch, "labels": labels}, logits_to_keep=ANSWER + 1).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    rate = steps * rows * tokens / (_now(device) - begun)
    if device == "cpu":
        return Timed(rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, None, (losses[0], losses[-1]))
    # Two operations a weight and token forward and two backward: frozen weights get no gradient of their own.
    language = sum(weights.numel() for weights in model.get_base_model().model.language_model.layers.parameters())
    share = rate * 4 * language / matrix_peak("cuda")
    return Timed(rate, torch.cuda.max_memory_allocated() / GIB, share, (losses[0], losses[-1]))


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()
