"""A small trained project in which labels are wrong, contradict each other and are repeated."""

import random
from pathlib import Path

from small_shop import FILLER, WORDS, write, write_project

from kdsl.project.project import Project

PER_LABEL = 20
PLANTED = {"s3": "材质", "s16": "物流", "s32": "调光"}
"""Sample → the wrong label that it has."""
CONTRADICTING, TWIN = "odd", "s6"
"""The first says what the second says, with another label."""
MARKUP = "<b>1</b>"
"""Stands in both."""
REPEATING, REPEATED = "twice", "s10"


def doubtful_records() -> list[dict]:
    """Three labels, told by two words each; ids count from s0, label after label in turn."""
    source = random.Random(3)
    records = []
    for index in range(3 * PER_LABEL):
        label = list(WORDS)[index % 3]
        text = "".join(source.choices(FILLER, k=4)) + "".join(source.sample(WORDS[label], 2))
        records.append({"id": f"s{index}", "text": text, "label": PLANTED.get(f"s{index}", label)})
    of_id = {record["id"]: record for record in records}
    of_id[TWIN]["text"] += MARKUP
    records.append({"id": CONTRADICTING, "text": of_id[TWIN]["text"] + " ", "label": "物流"})
    records.append({"id": REPEATING, "text": of_id[REPEATED]["text"], "label": of_id[REPEATED]["label"]})
    return records


def write_doubtful_project(folder: Path) -> Path:
    """Mined and trained; `folder` is returned."""
    write_project(folder)
    write(folder / "train.jsonl", doubtful_records())
    config = "tasks: [task.yaml]\ndata: {train: train.jsonl}\nmining: {max_conditions: 1, iterations: 20}\n"
    (folder / "kdsl.yaml").write_text(config, "utf-8")
    project = Project.open(folder)
    project.mine(1)
    project.train()
    return folder
