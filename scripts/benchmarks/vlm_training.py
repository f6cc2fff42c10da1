"""LoRA training of Qwen2-VL: which batches fit common GPUs by calculation, and steps timed with random weights.

The calculation is that of `kdsl train` (kdsl/training/memory.py): weights, gradients and optimiser states, what every
layer keeps for the backward pass or, with activation checkpointing, its input alone, and the logits of answers.

Timed steps are real ones, through the code of `kdsl train`: forward, backward, AdamW on examples of different lengths,
packed and padded, with and without activation checkpointing, and compiled with `--compile` (`--device cuda --size 7b`
where there is a GPU). Beside what a GPU held at most stands what was calculated.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from benchmarks.measurement import Measurement
from benchmarks.vlm_models import SIZES, matrix_peak, random_model
from kdsl.training.adapting import ALPHA, DROPOUT, RANK, TARGETS
from kdsl.training.examples import Encoded
from kdsl.training.loss import answer_logits, answer_loss
from kdsl.training.memory import GIB, cast_bytes, fixed_bytes, step_bytes
from kdsl.training.packing import Collator, row_tokens
from kdsl.training.probing import SHARE
from kdsl.vlm.processor import Prompt, collate

CARDS = (24, 48, 80, 141)
"""Memory of common GPUs, in GB as sold; the last is an H200."""
CONTEXT = 0.8 * GIB
ANSWER = 10
"""Tokens of an answer."""
QUANTISED = 0.53
"""Bytes a weight in 4 bits, with a double-quantised scale for every 64."""

Loss = Callable[[], Tensor]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench vlm_training", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", choices=list(SIZES), help="default: small on the CPU, 7b on a GPU")
    parser.add_argument("--tokens", type=int, default=1000, help="of an example in the mean, the picture's included")
    parser.add_argument("--side", type=int, default=16, help="the picture is SIDE x SIDE tokens (default 16)")
    parser.add_argument("--batch", type=int, default=1, help="examples at once")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compiled layers too (minutes)")
    parser.add_argument("--json", type=Path, help="a file that gets each figure as a line of JSON")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU")
    Console(width=110, file=sys.stdout).print(planned(options.tokens))
    size = options.size or ("small" if options.device == "cpu" else "7b")
    model = with_adapters(random_model(size, options.device))
    examples = random_examples(model.get_base_model(), options.batch, options.tokens, options.side)
    lengths = ", ".join(str(len(example.prompt)) for example in examples)
    print(f"{size}, {options.device}, {len(examples)} examples of {lengths} tokens")
    peak = matrix_peak("cuda") if options.device == "cuda" else None
    for name, checkpointing, compiled in ways(options):
        try:
            timed(model, examples, name, checkpointing, compiled, options.steps, peak).show(options.json)
        except torch.OutOfMemoryError:
            Measurement(name, unit="tokens/s", note="out of memory").append_to(options.json)
            print(f"{name:<22} out of memory", flush=True)
            model.zero_grad()
    return 0


def ways(options: argparse.Namespace) -> list[tuple[str, bool, bool]]:
    """Name, whether with checkpointing, whether compiled. What needs least memory comes first."""
    found = [("packed, checkpointing", True, False), ("packed", False, False)]
    found += [("padded", False, False)] if options.batch > 1 else []
    return found + ([("packed, compiled", False, True)] if options.compile else [])


def planned(tokens: int) -> Table:
    """The largest batches by calculation."""
    table = Table(title=f"Examples of {tokens} tokens at once, by calculation", title_justify="left")
    for column in ("model", "method", "checkpointing", "fixed GiB", "GiB an example", *(f"{c} GB" for c in CARDS)):
        table.add_column(column, justify="left" if column in ("model", "method") else "right")
    for size in ("2b", "7b"):
        for method in ("lora", "qlora", "full"):
            for checkpointing in (False, True):
                fixed, each = needed(size, method, checkpointing, tokens)
                fits = [int((card * 1e9 * SHARE - CONTEXT - fixed) // each) for card in CARDS]
                cells = [str(number) if number > 0 else "-" for number in fits]
                how = "yes" if checkpointing else "no"
                table.add_row(
                    f"Qwen2-VL-{size.upper()}", method, how, f"{fixed / GIB:.1f}", f"{each / GIB:.2f}", *cells
                )
    return table


def needed(size: str, method: str, checkpointing: bool, tokens: int) -> tuple[float, float]:
    """Bytes that training needs at any batch size, and bytes for every example of `tokens` tokens."""
    with torch.device("meta"):
        model = random_model(size, "meta")
    if method == "full":
        model = model.float()
        model.model.visual.requires_grad_(False)
    else:
        model.requires_grad_(False)
        model = with_adapters(model)
    base = model if method == "full" else model.get_base_model()
    fixed = fixed_bytes(model) + cast_bytes(model, base.config, method, checkpointing)
    if method == "qlora":
        linear = [w.numel() for name, w in model.named_parameters() if "base_layer" in name and w.dim() == 2]
        fixed -= int((2 - QUANTISED) * sum(linear))
    whole = step_bytes(model, base.config, method, checkpointing, tokens, ANSWER)
    return fixed, whole - fixed_bytes(model) - cast_bytes(model, base.config, method, checkpointing)


def with_adapters(model: Qwen2VLForConditionalGeneration) -> PeftModel:
    """The model as `kdsl train` trains it."""
    model.requires_grad_(False)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=TARGETS, task_type="CAUSAL_LM")
    return get_peft_model(model, config).train()


def random_examples(
    model: Qwen2VLForConditionalGeneration, number: int, tokens: int, side: int, seed: int = 0
) -> list[Encoded]:
    """Of half to one and a half times as many tokens, evenly, each with a picture of `side` x `side` tokens."""
    source = torch.Generator().manual_seed(seed)
    config = model.config
    found = []
    for row in range(number):
        length = tokens if number == 1 else tokens // 2 + tokens * row // (number - 1)
        length = max(length, side * side + 24)
        ids = torch.randint(2, config.text_config.vocab_size - 8, (length,), generator=source)
        kinds = torch.zeros_like(ids)
        picture = slice(20, 20 + side * side)
        ids[19], ids[picture.stop] = config.vision_start_token_id, config.vision_end_token_id
        ids[picture], kinds[picture] = config.image_token_id, 1
        pixels = torch.randn(((2 * side) ** 2, 3 * 2 * 14 * 14), generator=source)
        prompt = Prompt(ids, kinds, pixels, torch.tensor([[1, 2 * side, 2 * side]]))
        found.append(Encoded(prompt, ids[:ANSWER].tolist()))
    return found


@dataclass(frozen=True)
class Timed:
    what: str
    tokens_per_second: float
    memory: float
    """GiB at most: of the device, or of this process on the CPU."""
    calculated: float | None
    """GiB of the device; None on the CPU, where autocast is off and a process's memory holds all else, too."""
    share: float | None
    """Of the GPU's matrix peak, what recomputing and padding cost not counted; None on the CPU."""
    loss: tuple[float, float]
    """Of the first and the last step."""

    def show(self, path: Path | None) -> None:
        line = f"{self.what:<22} {self.tokens_per_second:9,.0f} tokens/s, at most {self.memory:.1f} GiB"
        note = "" if self.calculated is None else f"calculated {self.calculated:.1f} GiB"
        line += f" ({note})" if note else ""
        if self.share is not None:
            line += f", {self.share:.1%} of the matrix peak"
        Measurement(self.what, self.tokens_per_second, "tokens/s", self.memory, self.share, note).append_to(path)
        print(f"{line}; loss {self.loss[0]:.2f} to {self.loss[1]:.2f}", flush=True)


def timed(
    model: PeftModel, examples: Sequence[Encoded], what: str, checkpointing: bool, compiled: bool, steps: int,
    peak: float | None,
) -> Timed:  # fmt: skip
    """Train on one random batch; the first step warms up and is not timed."""
    base = model.get_base_model()
    device = base.device.type
    loss_of = padded_loss(model, examples) if what == "padded" else packed_loss(model, examples)
    _ = base.activation_checkpointing_enable() if checkpointing else base.activation_checkpointing_disable()
    if compiled:
        for layer in base.model.language_model.layers:
            layer.compile(dynamic=True)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    optimiser = torch.optim.AdamW([weights for weights in model.parameters() if weights.requires_grad], lr=1e-3)
    losses, begun = [], 0.0
    for step in range(steps + 1):
        if step == 1:
            begun = _now(device)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = loss_of()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    tokens = sum(len(each.prompt) + len(each.answer) for each in examples)
    rate = steps * tokens / (_now(device) - begun)
    ends = losses[0], losses[-1]
    if peak is None:
        return Timed(what, rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, None, None, ends)
    held = tokens if what != "padded" else len(examples) * max(len(e.prompt) + ANSWER for e in examples)
    calculated = step_bytes(model, base.config, "lora", checkpointing, held, ANSWER * len(examples)) / GIB
    # Two operations a weight and token forward and two backward: frozen weights get no gradient of their own.
    language = sum(weights.numel() for weights in base.model.language_model.layers.parameters())
    return Timed(
        what, rate, torch.cuda.max_memory_allocated() / GIB, calculated, rate * 4 * language / peak, ends
    )  # fmt: skip


def packed_loss(model: PeftModel, examples: Sequence[Encoded]) -> Loss:
    """As `kdsl train` computes it."""
    base = model.get_base_model()
    collator = Collator(SimpleNamespace(pad_id=0), row_tokens(base))  # type: ignore[arg-type]
    batch = {name: tensor.to(base.device) for name, tensor in collator(examples).items()}
    return lambda: answer_loss(answer_logits(model, base, batch), batch["targets"], batch["weights"])


def padded_loss(model: PeftModel, examples: Sequence[Encoded]) -> Loss:
    """Each example in a row of its own."""
    batch = collate([each.prompt.followed_by(each.answer) for each in examples], 0, side="left")
    labels = torch.tensor([each.answer for each in examples])
    batch = {name: tensor.to(model.device) for name, tensor in (batch | {"labels": labels}).items()}
    # The token before an answer predicts its first one.
    batch["labels"] = torch.nn.functional.pad(batch["labels"], (1, 0), value=-100)
    return lambda: model(**batch, logits_to_keep=ANSWER + 1, use_cache=False).loss


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()
