"""What predicting costs: dialogues a second of one core, with sentence vectors and without, and one text alone.

Two demo projects are mined and trained, `encoder: use` and `encoder: none`. Then `kdsl predict --input` decides dialogues
of the demo's maker, a process on one core each. No text stands in two dialogues, so that no vector is known before.
Seconds are processor time, of the user and the system, of the whole process.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo_maker.dialogues import AGENT, make_dialogue
from demo_maker.intents import INTENTS
from kdsl.errors import KdslError

ROOT = Path(__file__).resolve().parents[2]
TASK = "demo_intent"
SETTINGS = {"use": ("encoder=use",), "none": ("encoder=none", "small=lexical")}
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
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if options.folder is None else options.folder
        given = folder / "dialogues.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        records = make_records(options.dialogues, options.seed)
        given.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records), encoding="utf-8")
        print(f"{options.dialogues} dialogues of {statistics.mean(map(_length, records)):.0f} characters, one core")
        for encoder, settings in SETTINGS.items():
            project = folder / encoder
            _processor_seconds("demo", str(project), *settings)
            command = ("predict", str(project), *settings)
            predicting = (*command, "--input", str(given), "--output", str(folder / f"{encoder}.jsonl"), "--again")
            _forget(project)
            spent = _processor_seconds(*predicting)
            known = _processor_seconds(*predicting)
            print(f"encoder: {encoder:<4}  {spent:.1f} s, {options.dialogues / spent:.0f} dialogues/s; once more, with "
                  f"the vectors that were kept: {options.dialogues / known:.0f}/s")  # fmt: skip
            alone = sorted(_processor_seconds(*command, "--text", options.text) for _ in range(options.times))
            print(f"  --text …: median of {options.times} {statistics.median(alone):.2f} s, "
                  f"from {alone[0]:.2f} s to {alone[-1]:.2f} s")  # fmt: skip


def make_records(number: int, seed: int) -> list[dict[str, Any]]:
    """Dialogues of the demo's maker, without images; every turn ends with the mark of its dialogue."""
    rng = random.Random(seed)
    records = []
    for index in range(number):
        made = make_dialogue(INTENTS[index % len(INTENTS)], rng)
        turns = [
            {"role": "agent" if role == AGENT else "user", "text": text + chr(MARKS + index)}
            for role, text in made.turns
            if text and "<image>" not in text
        ]
        records.append({"id": f"dialogue-{index}", "task": TASK, "turns": turns})
    return records


def _length(record: dict[str, Any]) -> int:
    return sum(len(turn["text"]) for turn in record["turns"])


def _forget(project: Path) -> None:
    (project / "checkpoints" / "run" / VECTORS_FILE).unlink(missing_ok=True)


def _processor_seconds(*arguments: str) -> float:
    """Of `kdsl` with these arguments, on one core."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "kdsl", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=_take_one_core,
    )
    after = os.times()
    if done.returncode:
        raise KdslError(done.stderr.strip().removeprefix("error: "))
    return after.children_user - before.children_user + after.children_system - before.children_system
