"""A tiny project for whole runs: 60 short dialogues, 3 labels, a test set, one page of text."""

import json
import random
from pathlib import Path

WORDS = {"调光": ("亮度", "变暗"), "材质": ("棉麻", "面料"), "物流": ("快递", "发货")}
FILLER = "春夏秋冬东南西北金木水火山石田土日月星云风雨"


def write_project(folder: Path) -> Path:
    """kdsl.yaml, task and data in `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = "".join(f"  - {{name: {label}}}\n" for label in WORDS)
    (folder / "task.yaml").write_text(f"name: shop\nlabels:\n{labels}", "utf-8")
    config = "tasks: [task.yaml]\ndata: {train: train.jsonl, test: test.jsonl, images: images, ocr: ocr.jsonl}\n"
    (folder / "kdsl.yaml").write_text(config + "mining: {max_conditions: 2, iterations: 60}\n", "utf-8")
    write(folder / "train.jsonl", dialogues(60, 0))
    write(folder / "test.jsonl", dialogues(15, 1, "t"))
    return folder


def dialogues(n: int, seed: int, prefix: str = "s") -> list[dict]:
    source = random.Random(seed)
    records = []
    for index in range(n):
        label = list(WORDS)[index % 3]
        said = label if source.random() < 0.9 else source.choice(list(WORDS))
        text = "".join(source.choices(FILLER, k=60)) + source.choice(WORDS[said])
        turns = [{"role": "user", "text": text}, {"role": "agent", "text": ""}]
        records.append({"id": f"{prefix}{source.randrange(10**6)}-{index}", "turns": turns, "label": label})
    return records


def write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
