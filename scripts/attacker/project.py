"""A small project with a file of every kind that KDSL reads or writes."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from attacker.child import run_command

PERSON = "anna"
_SAID = {"调光": ("亮度太高", "能变暗吗"), "材质": ("是棉麻吗", "什么面料"), "物流": ("快递到哪了", "几时发货")}
_SHOWN = {"支付": "PAY NOW", "退款": "REFUND"}
_FILLER = "春夏秋冬东南西北金木水火山石田土日月星云风雨"

CONFIG = """\
tasks: [tasks/shop.yaml, tasks/page.yaml]
data:
  train: data/train.jsonl
  test: data/test.json
  images: data/images
  ocr: data/ocr.jsonl
  captions: data/captions.jsonl
  questions: data/questions.jsonl
  reasons: data/reasons.jsonl
  knowledge: data/knowledge
  distilled: data/distilled.jsonl
rules: rules
checkpoint: checkpoints/run
mining: {max_conditions: 2, iterations: 60}
augment: {copies: 1}
"""


def write_project(folder: Path, seed: int) -> None:
    """The data of two tasks, their sidecars, and what people wrote; nothing mined or trained yet."""
    source = random.Random(seed)
    for name in ("tasks", "data/images", "data/knowledge", "rules/shop/材质"):
        (folder / name).mkdir(parents=True)
    (folder / "kdsl.yaml").write_text(CONFIG, "utf-8")
    _write_task(folder / "tasks/shop.yaml", "shop", _SAID, "判断意图。\\n{dialogue}\\n标签：{labels}")
    _write_task(folder / "tasks/page.yaml", "page", _SHOWN, "<image>\\n请分类：{labels}。")
    train, test = _dialogues(source, 36, "s"), _dialogues(source, 9, "t")
    train += _pages(source, folder, 16, "p")
    test += _pages(source, folder, 4, "q")
    _write_lines(folder / "data/train.jsonl", train)
    (folder / "data/test.json").write_text(json.dumps(test, ensure_ascii=False, indent=1), "utf-8")
    images = [image for record in train + test for image in record.get("images", ())]
    _write_lines(folder / "data/captions.jsonl", ({"image": i, "caption": "一张截图", "model": "m"} for i in images))
    asked = ({"image": i, "model": "m", "answers": {"图中有按钮吗？": 0.75}} for i in images)
    _write_lines(
        folder / "data/questions.jsonl", [*asked, {"question": "图中有按钮吗？", "model": "m", "threshold": 0.5}]
    )
    reasons = (
        {"id": r["id"], "task": r["task"], "label": r["label"], "reason": "用户这样问", "model": "m"} for r in train
    )
    _write_lines(folder / "data/reasons.jsonl", reasons)
    soft_labels = [{**record, "id": f"u{i}", "targets": {record["label"]: 0.9}} for i, record in enumerate(train[:6])]
    _write_lines(folder / "data/distilled.jsonl", soft_labels)
    (folder / "data/knowledge/shop.md").write_text("# 退货\n七天无理由退货。\n\n# 面料\n棉麻。\n", "utf-8")
    (folder / "rules/shop/材质/面料--r-person01.yaml").write_text(
        'id: r-person01\nlabel: "材质"\nstatus: accepted\nwhen:\n  all:\n    - user: ["面料", "棉麻"]\n'
        "provenance: {source: person}\nnotes: \"写的人在\"  # 手写的\n", "utf-8",
    )  # fmt: skip


def finish_project(folder: Path) -> None:
    """Run every step, and decide about some rules, so that all files that steps leave are there."""
    from kdsl.review.decisions import decide
    from kdsl.review.store import RuleStore

    for arguments in (
        ["run", "--workers", "1"], ["augment", "--workers", "1"], ["rules", "export", ".", "--output", "rules.csv"],
        ["predict", ".", "--input", "data/test.json", "--output", "predictions.jsonl"],
    ):  # fmt: skip
        outcome = run_command(arguments, folder)
        if outcome.code not in (0, 1):
            raise SystemExit(f"the project that is to be attacked cannot be made: {outcome.err}")
    store = RuleStore(folder / "rules", ["shop", "page"])
    for stored, status in zip(store.rules("shop"), ("accepted", "rejected", "disabled"), strict=False):
        decide(store, PERSON, "shop", stored.rule.id, stored.version, status)  # type: ignore[arg-type]


def _write_task(path: Path, name: str, labels: Iterable[str], prompt: str) -> None:
    listed = "".join(f"  - {{name: {label}, description: 问{label}}}\n" for label in labels)
    path.write_text(f'name: {name}\nlabels:\n{listed}prompt: "{prompt}"\n', "utf-8")


def _dialogues(source: random.Random, n: int, prefix: str) -> list[dict[str, Any]]:
    records = []
    for number in range(n):
        label = [*_SAID][number % len(_SAID)]
        text = "".join(source.choices(_FILLER, k=12)) + source.choice(_SAID[label])
        turns = [{"role": "user", "text": text}, {"role": "agent", "text": "亲，请稍等"}]
        records.append({"id": f"{prefix}{number}", "task": "shop", "turns": turns, "label": label})
    return records


def _pages(source: random.Random, folder: Path, n: int, prefix: str) -> list[dict[str, Any]]:
    """Samples with a page each, and the pages' lines in the OCR sidecar."""
    records, lines = [], []
    for number in range(n):
        label = [*_SHOWN][number % len(_SHOWN)]
        name, shown = f"{prefix}{number}.png", f"{_SHOWN[label]} {source.randrange(10**6)}"
        page = Image.new("RGB", (240, 320), (250, 250, 250 - number))
        ImageDraw.Draw(page).text((20, 40 + 9 * number), shown, (0, 0, 0), ImageFont.load_default(24))
        page.save(folder / "data/images" / name)
        lines.append(
            {"image": name, "size": [240, 320], "original_size": [240, 320],
             "lines": [{"text": shown, "score": 0.99, "box": [20, 40, 220, 70]}]}
        )  # fmt: skip
        records.append({"id": f"{prefix}{number}", "task": "page", "images": [name], "label": label})
    with (folder / "data/ocr.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return records


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
