"""Mining 1,000, 8,000 and 64,000 short texts with 77 labels: processor time, memory of all processes, rules.

The texts are made: 20 words each, drawn by Zipf's law from 20,000, of which each label has a few of its own. Wanted of
64,000: under 2 GB and 4 minutes on two cores.
"""

import argparse
import json
import random
import sys
import tempfile
from itertools import accumulate
from pathlib import Path

from benchmarks.process_tree import measured

LABELS, WORDS, LENGTH = 77, 20_000, 20
OWN, SAID = 6, 0.8
"""Words of a label's own, and the share of its texts that say two of them."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 8000, 64_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--chinese", action="store_true", help="texts without spaces, of Chinese characters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where projects are made and stay; a temporary one by default")
    options = parser.parse_args(arguments)
    missed = False
    with tempfile.TemporaryDirectory() as temporary:
        for size in options.sizes:
            project = (options.folder or Path(temporary)) / str(size)
            write_project(project, size, options.chinese, options.seed)
            command = [sys.executable, "-m", "kdsl", "mine", str(project), "--workers", str(options.workers)]
            taken = measured([*command, "--format", "json"], project / "errors.log")
            [task] = json.loads(taken.output)
            rules = sum(label["rules"] for label in task["labels"])
            print(
                f"{size:>7,} texts: {taken.seconds:>6.1f} s, {taken.processor:>6.1f} s of processor time, "
                f"{taken.gigabytes:>5.2f} GB, {rules} rules",
                flush=True,
            )
            missed |= size == 64_000 and (taken.gigabytes > 2 or taken.seconds > 240)
    return int(missed)


def write_project(folder: Path, size: int, chinese: bool, seed: int) -> None:
    """A project of so many texts."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(f"growth {seed}")
    words = _words(draw, chinese)
    weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
    labels = [f"label{number}" for number in range(LABELS)]
    own = {label: draw.sample(words[200:5000], OWN) for label in labels}
    with (folder / "train.jsonl").open("w", encoding="utf-8") as file:
        for number in range(size):
            label = draw.choice(labels)
            said = draw.choices(words, cum_weights=weights, k=LENGTH)
            if draw.random() < SAID:
                said[3], said[11] = draw.sample(own[label], 2)
            text = ("" if chinese else " ").join(said)
            file.write(json.dumps({"id": str(number), "text": text, "label": label}, ensure_ascii=False) + "\n")
    names = "".join(f"  - {{name: {label}}}\n" for label in labels)
    (folder / "task.yaml").write_text(f"name: texts\nlabels:\n{names}", encoding="utf-8")
    (folder / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: train.jsonl}\nencoder: none\nsmall: lexical\ncheckpoint: checkpoint\n",
        encoding="utf-8",
    )


def _words(draw: random.Random, chinese: bool) -> list[str]:
    letters = [chr(0x4E00 + number) for number in range(1500)] if chinese else "abcdefghijklmnopqrstuvwxyz"
    lengths = (1, 2, 2, 2, 3) if chinese else (3, 4, 5, 6, 7, 8)
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(draw.choices(letters, k=draw.choice(lengths)))] = None
    return list(found)
