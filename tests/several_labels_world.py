"""A planted world: customers write about several things at once, and some of these come together."""

import json
from pathlib import Path
from random import Random
from typing import Any

from kdsl.sample import Label, Sample, Task, Turn

TASK = "topics"
SAID = {
    "物流": ("快递到哪了", "什么时候发货", "物流三天没动", "包裹还没到", "换个快递行不行"),
    "退款": ("我要退款", "钱什么时候退回", "退款没到账", "申请退钱", "把货款退给我"),
    "质量": ("衣服破了个洞", "用两天就坏了", "颜色掉得厉害", "质量太差了", "做工粗糙有线头"),
    "尺码": ("穿多大码合适", "尺码偏小怎么办", "身高一米七穿几码", "大一号有没有", "裤子太长了"),
    "发票": ("能开发票吗", "发票抬头写错了", "电子发票发哪里", "要增值税专票", "税号怎么填"),
}
LABELS = tuple(SAID)
TOGETHER = {"退款": "质量", "质量": "退款", "物流": "退款"}
"""What mostly comes with what."""
_FILLING = ("你好", "在吗", "请问一下", "麻烦看看", "谢谢", "帮忙处理", "急", "我昨天下的单", "客服")
TOPICS = Task(TASK, tuple(map(Label, LABELS)), multi=True)


def world(n: int, seed: int, noise: float = 0.0) -> list[Sample]:
    """`n` samples with 0 to 3 labels each; `noise` is the share of characters that are lost."""
    random = Random(seed)
    samples = []
    for number in range(n):
        labels: list[str] = []
        for _ in range(random.choices((0, 1, 2, 3), (12, 43, 35, 10))[0]):
            likely = TOGETHER.get(labels[-1]) if labels and random.random() < 0.6 else None
            label = likely or random.choice(LABELS)
            labels += [label] if label not in labels else []
        parts = [random.choice(SAID[label]) for label in labels] + random.sample(_FILLING, random.randint(1, 3))
        random.shuffle(parts)
        text = "".join(letter for letter in "，".join(parts) if random.random() >= noise)
        samples.append(
            Sample(f"{seed}-{number}", TASK, (Turn("user", text),), labels=tuple(sorted(labels, key=LABELS.index)))
        )
    return samples


def record(sample: Sample) -> dict[str, Any]:
    """A line of a data file."""
    return {"id": sample.id, "text": sample.turns[0].text, "label": list(sample.labels or ())}


def write_project(folder: Path, train: int = 80, test: int = 120, noise: float = 0.0) -> Path:
    """A project of this world, with no encoder, so that it is mined in seconds."""
    folder.mkdir(parents=True)
    names = "".join(f"  - {{name: {label}}}\n" for label in LABELS)
    (folder / "task.yaml").write_text(f"name: {TASK}\nmulti: true\nlabels:\n{names}", encoding="utf-8")
    (folder / "kdsl.yaml").write_text(
        "tasks: [task.yaml]\ndata: {train: train.jsonl, test: test.jsonl}\nencoder: none\nsmall: lexical\n"
        "checkpoint: checkpoint\nmining: {iterations: 200}\n",
        encoding="utf-8",
    )
    write_samples(folder / "train.jsonl", world(train, 1, noise))
    write_samples(folder / "test.jsonl", world(test, 2, noise))
    return folder


def write_samples(path: Path, samples: list[Sample]) -> None:
    lines = (json.dumps(record(sample), ensure_ascii=False) + "\n" for sample in samples)
    path.write_text("".join(lines), encoding="utf-8")
