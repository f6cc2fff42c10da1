"""A project on the world of tests/tiny_qwen2vl.py: coloured pages and wishes, labels that need both."""

import json
import random
from pathlib import Path

import tiny_qwen2vl

OTHER = dict(zip(tiny_qwen2vl.COLOURS, reversed(tiny_qwen2vl.COLOURS), strict=True))
"""The model has to learn anew: here the label of a red page begins with 蓝, that of a blue one with 红."""
WISH_LABELS = {"退": "退", "换": "退换"}
PROMPT = "<image>{dialogue}标签？"
SMALL = "pixels: {min: 784, max: 3136}\n"
TRAINING = "training: {epochs: 3, learning_rate: 0.005, batch: 4, at_once: 4, patience: 3}\n"


def write_project(folder: Path, model: Path | str, n: int = 40, extra: str = SMALL + TRAINING) -> Path:
    """kdsl.yaml, one task, `n` training and 12 test samples in `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_task(folder, "shop")
    config = f"tasks: [shop.yaml]\ndata: {{train: train.jsonl, test: test.jsonl, images: images}}\nlarge: {model}\n"
    (folder / "kdsl.yaml").write_text(config + "mining: {max_conditions: 2, iterations: 30}\n" + extra, "utf-8")
    write(folder / "train.jsonl", samples(folder / "images", n, 0))
    write(folder / "test.jsonl", samples(folder / "images", 12, 1))
    return folder


def write_task(folder: Path, name: str, labels: tuple[str, ...] = tiny_qwen2vl.LABELS, prompt: str = PROMPT) -> None:
    lines = "".join(f"  - {{name: {label}, description: {label}货}}\n" for label in labels)
    (folder / f"{name}.yaml").write_text(f"name: {name}\nlabels:\n{lines}prompt: '{prompt}'\n", "utf-8")


def samples(images: Path, n: int, seed: int, task: str = "shop") -> list[dict]:
    """Labels in turn; the page shows the colour, the customer says the wish."""
    source = random.Random(seed)
    records = []
    for index in range(n):
        label = tiny_qwen2vl.LABELS[index % 4]
        image = f"{task}{seed}-{index}.png"
        tiny_qwen2vl.draw_page(images / image, OTHER[label[0]], source.random() < 0.5, source.randrange(1 << 30))
        turns = [{"role": "user", "text": f"我要{label[1]}货。", "images": [image]}]
        records.append({"id": f"{seed}-{index}", "task": task, "turns": turns, "images": [image], "label": label})
    return records


def write_two_tasks(folder: Path, model: Path, extra: str = SMALL + TRAINING) -> Path:
    """Beside `shop` a task that asks for the wish alone, with labels of which one begins with the other."""
    write_project(folder, model, extra=extra)
    write_task(folder, "wish", tuple(WISH_LABELS.values()), "{dialogue}<image>描述？")
    config = (folder / "kdsl.yaml").read_text("utf-8").replace("[shop.yaml]", "[shop.yaml, wish.yaml]")
    (folder / "kdsl.yaml").write_text(config, "utf-8")
    for split, n, seed in (("train", 32, 2), ("test", 8, 3)):
        records = samples(folder / "images", n, seed, "wish")
        for record in records:
            record["label"] = WISH_LABELS[record["label"][1]]
        write(folder / f"{split}.jsonl", read(folder / f"{split}.jsonl") + records)
    return folder


def write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
