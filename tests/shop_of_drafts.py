"""A tiny project for drafts: 亮度 and 变暗 ask the same, 亮度不错 asks nothing, and the one rule knows 亮度 only."""

import json
from pathlib import Path

from kdsl.rules.condition import Condition
from kdsl.rules.rule import when_hash

SAID = [("亮度", "调光")] * 8 + [("变暗", "调光")] * 8 + [("亮度不错", "材质")] * 6 + [("面料", "材质")] * 8
RULE = """id: r-aaaa
label: "调光"
status: accepted
when:
  all:
    - user: ["亮度"]
review: {{by: "小王", at: "2026-01-01T09:00:00", of: "{of}"}}
tests: {{hit: ["s0"], miss: []}}
notes: "问过客服"
"""


def write_draft_shop(folder: Path) -> Path:
    """kdsl.yaml, task, 30 labelled dialogues and the rule, in `folder`; returns it."""
    labels = "  - {name: 调光, description: 咨询灯光}\n  - {name: 材质, description: 咨询用料}\n"
    (folder / "task.yaml").write_text(f"name: shop\nlabels:\n{labels}", "utf-8")
    (folder / "kdsl.yaml").write_text("tasks: [task.yaml]\ndata: {train: train.jsonl}\n", "utf-8")
    lines = [{"id": f"s{i}", "text": f"请问{text}", "label": label} for i, (text, label) in enumerate(SAID)]
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)
    (folder / "train.jsonl").write_text(text, "utf-8")
    path = folder / "rules" / "shop" / "调光" / "亮度--r-aaaa.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(RULE.format(of=when_hash((Condition(field="user", terms=("亮度",)),))), "utf-8")
    return folder
