"""Dialogues of the demo's maker, as many as one likes, as a project: for what has to work at any size."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from demo_maker.dialogues import make_dialogue
from demo_maker.intents import INTENTS
from demo_maker.project import write_task
from demo_maker.samples import INTENT_PROMPT

TASK = "demo_intent"
_ROLES = {"用户": "user", "客服": "agent"}
_CONFIG = """\
tasks: [{task}.yaml]
data: {{train: train.jsonl}}
encoder: none
small: lexical
large: linear
rules: rules
checkpoint: checkpoint
"""


def records(count: int, seed: int) -> Iterator[dict[str, object]]:
    """Labelled dialogues, one at a time, the same for the same seed; the first are those of a smaller `count`.

    They have no pictures.
    """
    draw = Random(f"scale {seed}")
    intents, sizes = list(INTENTS), [intent.size for intent in INTENTS]
    for number in range(count):
        [intent] = draw.choices(intents, sizes)
        dialogue = make_dialogue(intent, draw)
        turns = [{"role": _ROLES[role], "text": text.replace("<image>", "")} for role, text in dialogue.turns]
        yield {"id": f"{seed}-{number:09}", "task": TASK, "turns": turns, "label": dialogue.label}


def write_records(path: Path, count: int, seed: int) -> None:
    """`records` as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records(count, seed))


def write_project(folder: Path, count: int, seed: int = 0) -> None:
    """A project of so many labelled dialogues in train.jsonl, on embedded parts without an encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = [(intent.name, intent.description) for intent in INTENTS]
    write_task(folder / f"{TASK}.yaml", labels, INTENT_PROMPT, "What a customer wants in a dialogue.")
    (folder / "kdsl.yaml").write_text(_CONFIG.format(task=TASK), encoding="utf-8")
    write_records(folder / "train.jsonl", count, seed)
