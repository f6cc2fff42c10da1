"""A small project in files, for what the page does when these change."""

import json
from pathlib import Path
from typing import Any

TASK = "shop"
LABELS = ("调光", "材质")
DIALOGUES = [
    ("亮度能调吗", "调光"), ("能变暗吗", "调光"), ("亮度够吗", "调光"), ("什么面料", "材质"), ("棉麻的吗", "材质"),
]  # fmt: skip


def write_shop(folder: Path, large: str = "linear") -> None:
    (folder / "rules" / TASK / "调光").mkdir(parents=True)
    (folder / "task.yaml").write_text(task_file(LABELS), encoding="utf-8")
    (folder / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: train.jsonl, ocr: ocr.jsonl, captions: captions.jsonl,\n"
        "  transcripts: transcripts.jsonl}\n"
        f"checkpoint: checkpoint\nlarge: {large}\n",
        encoding="utf-8",
    )
    write_samples(folder, DIALOGUES)
    write_rule(folder, "r-aaaa", "调光", "user", "亮度")
    write_rule(folder, "r-bbbb", "材质", "user", "面料")
    write_rule(folder, "r-cccc", "材质", "ocr", "成分")


def task_file(labels: tuple[str, ...]) -> str:
    return f"name: {TASK}\nlabels:\n" + "".join(f"  - {{name: {label}}}\n" for label in labels)


def write_rule(folder: Path, id: str, label: str, field: str, term: str) -> Path:
    path = folder / "rules" / TASK / "调光" / f"{term}--{id}.yaml"
    path.write_text(f'id: {id}\nlabel: "{label}"\nwhen:\n  all:\n    - {field}: ["{term}"]\n', encoding="utf-8")
    return path


def write_samples(folder: Path, dialogues: list[tuple[str, str]]) -> None:
    lines = [
        {"id": f"s{i}", "turns": [{"role": "user", "text": text, "images": [f"{i}.png"]}], "label": label}
        for i, (text, label) in enumerate(dialogues)
    ]
    write_lines(folder / "train.jsonl", lines)


def write_page(folder: Path, image: str, text: str) -> None:
    line = {"text": text, "score": 0.9, "box": [1, 1, 9, 9]}
    write_lines(folder / "ocr.jsonl", [{"image": image, "size": [100, 100], "lines": [line]}])


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records), encoding="utf-8")
