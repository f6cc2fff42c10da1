"""What predicting costs: dialogues a second of one core, with sentence vectors and without, and one text alone.

Two demo projects are mined and trained, with `encoder: use` and with `encoder: none`. Then `kdsl predict --input`
decides dialogues of the demo's maker, each time in a process on one core, with no vector kept from before: dialogues
of which no two share a turn, and dialogues as they come, in which two turns of three were said before. Seconds are
processor time, of the user and the system, of the whole process.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo_maker.dialogues import AGENT, make_dialogue
from demo_maker.intents import INTENTS
from kdsl.errors import KdslError
from kdsl.json_file import write_jsonl
from kdsl.vector_cache import VECTORS_FILE

ROOT = Path(__file__).resolve().parents[2]
TASK = "demo_intent"
SETTINGS = {"use": ("encoder=use", "small=meaning"), "none": ("encoder=none", "small=lexical")}
"""`encoder:` → what a demo project is made with."""
MARKS = 0x4E00
"""The first of the characters that tell the turns of one dialogue from those of all others."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench predict", description=__doc__)
    parser.add_argument("--dialogues", type=int, default=10_000)
    parser.add_argument("--text", default="这个灯可以调亮度吗")
    parser.add_argument("--times", type=int, default=5, help="how often the one text is predicted (default 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the projects are made and kept; a temporary one otherwise")
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if options.folder is None else options.folder
        folder.mkdir(parents=True, exist_ok=True)
        files = {}
        for name, marked in (("no text twice", True), ("texts as they come", False)):
            files[name] = folder / f"{name.replace(' ', '_')}.jsonl"
            write_jsonl(files[name], make_records(options.dialogues, options.seed, marked))
        for encoder, settings in SETTINGS.items():
            project = folder / encoder
            _processor_seconds("demo", str(project), *settings)
            command = ("predict", str(project), *settings)
            for name, given in files.items():
                (project / "checkpoints" / "run" / VECTORS_FILE).unlink(missing_ok=True)
                output = given.with_suffix(f".{encoder}.jsonl")
                spent = _processor_seconds(*command, "--input", str(given), "--output", str(output), "--again")
                print(f"encoder: {encoder}, {options.dialogues} dialogues, {name}: {options.dialogues / spent:.0f}/s")
            alone = sorted(_processor_seconds(*command, "--text", options.text) for _ in range(options.times))
            print(
                f"encoder: {encoder}, --text …: median of {options.times} {statistics.median(alone):.2f} s, "
                f"from {alone[0]:.2f} s to {alone[-1]:.2f} s"
            )


def make_records(number: int, seed: int, marked: bool) -> Iterator[dict[str, Any]]:
    """Dialogues of the demo's maker, without images; `marked`: every turn ends with a character of its dialogue's."""
    rng = random.Random(seed)
    for index in range(number):
        made = make_dialogue(INTENTS[index % len(INTENTS)], rng)
        mark = chr(MARKS + index) if marked else ""
        turns = [
            {"role": "agent" if role == AGENT else "user", "text": text + mark}
            for role, text in made.turns
            if text and "<image>" not in text
        ]
        yield {"id": f"dialogue-{index}", "task": TASK, "turns": turns}


def _processor_seconds(*arguments: str) -> float:
    """Of `kdsl` with these arguments."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "kdsl", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    after = os.times()
    if done.returncode:
        raise KdslError(done.stderr.strip().removeprefix("error: "))
    return after.children_user - before.children_user + after.children_system - before.children_system
