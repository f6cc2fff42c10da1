"""How many samples a second the feeding side delivers: from conversations to collated tensors, ready for the device.

Each sample has a screenshot of its own, 1080 x 1920 pixels, of which a model sees 720 tokens, and Chinese text. Cold:
no picture was seen before. Warm: all are in the cache on disk, which the system holds in memory. The tokenizer is
trained on the dialogues of the demo, for real ones cannot be fetched everywhere.
"""

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from benchmarks.measurement import Measurement
from kdsl.vlm.conversation import Conversation, Instruction, Picture, ask
from kdsl.vlm.feeding import ahead
from kdsl.vlm.picture_cache import PictureCache
from kdsl.vlm.processor import Processor, collate

DIALOGUES = Path(__file__).resolve().parents[2] / "kdsl" / "demo" / "data" / "train.json"
SIZE = 1080, 1920
SEEN = 720
"""Tokens of such a picture at the default budget."""
BATCH, WINDOW = 8, 32
NEEDED = {"7B": (13, 33), "2B": (39, 99)}
"""Samples a second of 1,300 tokens that one H200 scores or trains on, by calculation (docs/real_models.md)."""
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ content['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench vlm_feed", description=__doc__)
    parser.add_argument("--pictures", type=int, default=128, help="samples, each with a picture (default 128)")
    parser.add_argument("--tokens", type=int, default=1300, help="tokens of a sample, the picture's included")
    parser.add_argument("--json", type=Path, help="a file that gets each figure as a line of JSON")
    options = parser.parse_args(arguments)
    if options.pictures < WINDOW or options.tokens < SEEN + 100:
        parser.error(f"take at least {WINDOW} pictures and {SEEN + 100} tokens")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="kdsl-feed-") as name:
        folder = Path(name)
        processor = Processor.load(write_preprocessing(folder / "model"))
        asked = conversations(processor, folder, options.pictures, options.tokens)
        rows = []
        for what, deliver in (("one core", one_core), ("all cores", all_cores)):
            processor.cache = PictureCache(folder / what)
            for state in ("cold", "warm"):
                rows.append(measured(f"{state}, {what}", partial(deliver, processor, asked), len(asked)))
                rows[-1].measurement().append_to(options.json)
    report(rows, options.tokens)
    return 0


@dataclass(frozen=True)
class Row:
    what: str
    samples: int
    wall: float
    cpu: float
    """Seconds of all threads and processes."""
    memory: int
    """Bytes at most, of this process so far and of its largest child."""

    def measurement(self) -> Measurement:
        note = f"{self.cpu / self.samples * 1000:.1f} ms of processor time a sample"
        return Measurement(self.what, self.samples / self.wall, memory=self.memory / 2**30, note=note)


def measured(what: str, deliver: Callable[[], Iterator[dict[str, torch.Tensor]]], samples: int) -> Row:
    wall, cpu = time.perf_counter(), processor_time()
    delivered = sum(len(batch["input_ids"]) for batch in deliver())
    if delivered != samples:
        raise RuntimeError(f"{delivered} of {samples} samples were delivered")
    return Row(what, samples, time.perf_counter() - wall, processor_time() - cpu, peak_memory())


def one_core(processor: Processor, asked: Sequence[Conversation]) -> Iterator[dict[str, torch.Tensor]]:
    """One after the other."""
    for start in range(0, len(asked), BATCH):
        yield collate([processor.encode(each) for each in asked[start : start + BATCH]], processor.pad_id)


def all_cores(processor: Processor, asked: Sequence[Conversation]) -> Iterator[dict[str, torch.Tensor]]:
    """As a model in this process is fed; collating stands where the model's thread does it."""
    for window in ahead(processor, asked, WINDOW):
        for start in range(0, len(window), BATCH):
            yield collate(window[start : start + BATCH], processor.pad_id)


def processor_time() -> float:
    """Seconds, of processes that have ended too."""
    kinds = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(kind.ru_utime + kind.ru_stime for kind in kinds)


def peak_memory() -> int:
    kinds = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(kind.ru_maxrss for kind in kinds) * (1 if sys.platform == "darwin" else 1024)


def report(rows: Sequence[Row], tokens: int) -> None:
    cores = os.cpu_count() or 1
    table = Table(
        title=f"{rows[0].samples} samples of {tokens} tokens, {SEEN} of them a picture; {cores} cores",
        title_justify="left",
    )
    for column in ("", "samples/s", "ms of processor time", "samples/s a core", f"on {cores} idle cores", "peak MiB"):
        table.add_column(column, justify="right" if column else "left")
    for row in rows:
        a_core = row.samples / row.cpu
        table.add_row(
            row.what,
            f"{row.samples / row.wall:.0f}",
            f"{row.cpu / row.samples * 1000:.1f}",
            f"{a_core:.0f}",
            f"{a_core * cores:.0f}" if row.what.endswith("all cores") else "",
            f"{row.memory / 2**20:.0f}",
        )
    console = Console(width=110, file=sys.stdout)
    console.print(table)
    needed = ", ".join(f"{model} {low} to {high}" for model, (low, high) in NEEDED.items())
    console.print(f"An H200 takes, by calculation, samples/s: {needed}")


def write_preprocessing(folder: Path) -> Path:
    """Everything of a Qwen2-VL's directory but the weights."""
    folder.mkdir()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=8000, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    ).save_pretrained(folder)
    Qwen2VLImageProcessorPil().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    return folder


def lines() -> list[str]:
    """What is said in the demo's dialogues."""
    return [line for record in json.loads(DIALOGUES.read_text()) for line in record["instruction"].splitlines()]


def conversations(processor: Processor, folder: Path, n: int, tokens: int) -> list[Conversation]:
    """`n` with a page and some turns each, about `tokens` long."""
    with ThreadPoolExecutor() as pool:
        pages = list(pool.map(partial(draw, folder), range(n)))
    said = lines()
    found = []
    for number, page in enumerate(pages):
        source = random.Random(number)
        turns: list[str] = []
        left = tokens - SEEN - 10
        for turn in islice(cycle(source.sample(said, len(said))), 1000):
            left -= len(processor.answer_ids(turn, ended=False))
            if left < 0:
                break
            turns.append(turn)
        found.append(ask(*turns, Picture(page), Instruction("标签？")))
    return found


def draw(folder: Path, number: int) -> Path:
    """A screenshot: a photograph of sorts above, lines of something like text below."""
    source = random.Random(number)
    page = Image.new("RGB", SIZE, (245, 245, 245))
    photo = Image.effect_noise((270, 200), 60).resize((1080, 800), Image.Resampling.BICUBIC)
    page.paste(Image.merge("RGB", (photo, photo.point(lambda value: value // 2 + 60), photo.rotate(180))), (0, 100))
    pen = ImageDraw.Draw(page)
    for top in range(950, 1880, 44):
        for left in range(40, source.randrange(300, 1040), 34):
            for _ in range(4):
                x, y = left + source.randrange(20), top + source.randrange(20)
                pen.line((x, y, x + source.randrange(-9, 9), y + source.randrange(9)), (30, 30, 30), 3)
    path = folder / f"{number}.png"
    page.save(path)
    return path
