"""Label scoring by a vision-language model, beside one forward an option and generating an answer.

Models have random weights, so that figures tell time and memory, not how right the answers are. Random weights never
end an answer early: generating takes all its tokens, as a script pays for them that waits for a fixed number. On a GPU
(`--device cuda --size 2b` or `7b`) memory and the fraction of the device's matrix peak are told too. What a sample
costs by calculation, `scripts/bench vlm_calculation` tells.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import GenerationConfig, Qwen2VLForConditionalGeneration

from benchmarks.measurement import Measurement
from benchmarks.vlm_models import SIZES, matrix_peak, random_batch, random_model
from kdsl.vlm.scoring import score_options

NEW_TOKENS = 128


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench vlm", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", choices=list(SIZES), help="default: small on the CPU, 2b on a GPU")
    parser.add_argument("--labels", type=int, default=23)
    parser.add_argument("--tokens", type=int, default=1000, help="tokens of a prompt, the picture's included")
    parser.add_argument("--side", type=int, default=16, help="the picture is SIDE x SIDE tokens (default 16)")
    parser.add_argument("--batch", type=int, help="prompts at once (default 1 on the CPU, 8 on a GPU)")
    parser.add_argument("--repeats", type=int, default=2, help="the best of so many runs is shown (default 2)")
    parser.add_argument("--attention", choices=["sdpa", "flash_attention_2", "flash_attention_3"], default="sdpa")
    parser.add_argument("--compile", action="store_true", help="MLPs and norms compiled by torch (minutes)")
    parser.add_argument("--json", type=Path, help="a file that gets each figure as a line of JSON")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU")
    if options.tokens < options.side**2 + 40:
        parser.error("the prompt is too short for its picture: raise --tokens or lower --side")
    size = options.size or ("small" if options.device == "cpu" else "2b")
    rows = options.batch or (1 if options.device == "cpu" else 8)
    if options.device == "cpu":
        torch.set_num_threads(1)
    model = random_model(size, options.device)
    model.set_attn_implementation(options.attention)
    batch = random_batch(model, rows, options.tokens, options.side)
    one = random_batch(model, 1, options.tokens, options.side)
    labels = random_labels(options.labels, model.config.text_config.vocab_size)
    if options.compile:
        expected = score_options(model, batch, labels, "pack")
        compile_parts(model)
        begun = time.perf_counter()
        difference = (score_options(model, batch, labels, "pack") - expected).abs().max()
        print(f"compiled in {time.perf_counter() - begun:.0f} s; log-probabilities differ by {difference:.1e} at most")
    ways = {
        "one pass, cache repeated": Way(lambda: score_options(model, batch, labels, "repeat"), rows),
        "one pass, options packed": Way(lambda: score_options(model, batch, labels, "pack"), rows),
        "one forward an option": Way(lambda: one_forward_an_option(model, one, labels), 1),
        f"generate, {NEW_TOKENS} tokens": Way(lambda: generate(model, one), 1),
    }
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{size}: {parameters / 1e6:,.0f} million parameters, {model.dtype}, {options.device}")
    print(
        f"{options.labels} labels, {options.tokens} tokens a prompt, {options.side**2} of them a picture; batch {rows}"
    )
    timed = {name: measure(way, options.device, options.repeats) for name, way in ways.items()}
    peak = matrix_peak("cuda") if options.device == "cuda" else None
    report(ways, timed, peak, options.json, "compiled" if options.compile else "")
    if rows == 1:
        difference = (ways["one pass, cache repeated"].run() - ways["one forward an option"].run()).abs().max()
        print(f"largest difference of log-probabilities: {difference:.1e}")
    return 0


def compile_parts(model: Qwen2VLForConditionalGeneration) -> None:
    """For any lengths of prompts. Whole layers would be compiled once each: their number is a constant in them."""
    for layer in model.model.language_model.layers:
        for part in (layer.mlp, layer.input_layernorm, layer.post_attention_layernorm):
            part.compile(dynamic=True)


@dataclass(frozen=True)
class Way:
    run: Callable[[], Tensor]
    samples: int
    """Samples answered by one run."""


@dataclass(frozen=True)
class Measured:
    seconds: float
    """For each sample."""
    memory: int
    """Bytes at most, weights included; 0 on the CPU."""


def measure(way: Way, device: str, repeats: int) -> Measured:
    """Wall-clock time on a GPU, after a run to warm up; processor time on the CPU, which others may be using."""
    if device == "cpu":
        seconds = []
        for _ in range(repeats):
            begun = time.process_time()
            way.run()
            seconds.append(time.process_time() - begun)
        return Measured(min(seconds) / way.samples, 0)
    way.run()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        way.run()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return Measured(min(seconds) / way.samples, torch.cuda.max_memory_allocated())


def report(ways: dict[str, Way], timed: dict[str, Measured], peak: float | None, path: Path | None, note: str) -> None:
    best = min(timed["one pass, cache repeated"].seconds, timed["one pass, options packed"].seconds)
    if peak is not None:
        print(f"matrix peak: {peak / 1e12:.0f} TFLOP/s (a bfloat16 product of 8192 x 8192, measured)")
    for name, measured in timed.items():
        line = f"{name:<26} {measured.seconds:9.3f} s a sample  {1 / measured.seconds:8.2f} samples/s"
        line += f"  {measured.seconds / best:6.1f} x the best"
        used = None
        if peak is not None:
            used = operations(ways[name]) / ways[name].samples / measured.seconds / peak
            line += f"  {measured.memory / 2**30:6.1f} GiB  {used:6.1%} of the peak"
        print(line)
        memory = measured.memory / 2**30 or None
        Measurement(name, 1 / measured.seconds, memory=memory, share=used, note=note).append_to(path)
    print(f"scoring is {timed['one forward an option'].seconds / best:.1f} times faster than one forward an option")


def operations(way: Way) -> int:
    """Floating point operations of the matrix products and attentions of one run."""
    from torch.utils.flop_counter import FlopCounterMode

    # Of compiled layers the counter would see nothing.
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        way.run()
    return counter.get_total_flops()


def one_forward_an_option(
    model: Qwen2VLForConditionalGeneration, batch: dict[str, Tensor], labels: list[list[int]]
) -> Tensor:
    """[1, labels]: the whole prompt, picture included, goes through the model for every label."""
    scores = []
    for label in labels:
        answer = torch.tensor([label], device=model.device)
        inputs = dict(batch)
        for name, part in (
            ("input_ids", answer),
            ("attention_mask", torch.ones_like(answer)),
            ("mm_token_type_ids", torch.zeros_like(answer)),
        ):
            inputs[name] = torch.cat([batch[name], part], dim=1)
        with torch.no_grad():
            logits = model(**inputs, logits_to_keep=len(label) + 1).logits[0, :-1]
        scores.append(logits.float().log_softmax(dim=-1).gather(1, answer[0, :, None]).double().sum())
    return torch.stack(scores)[None].cpu()


def generate(model: Qwen2VLForConditionalGeneration, batch: dict[str, Tensor]) -> Tensor:
    config = GenerationConfig(max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0)
    return model.generate(**batch, generation_config=config)


def random_labels(n: int, vocabulary: int) -> list[list[int]]:
    """Labels of 3 to 9 tokens, the end token included, as Chinese labels have them."""
    source = torch.Generator().manual_seed(1)
    lengths = torch.randint(2, 9, (n,), generator=source).tolist()
    return [[*torch.randint(2, vocabulary - 8, (length,), generator=source).tolist(), 1] for length in lengths]
