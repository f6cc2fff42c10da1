"""A small trained project with two tasks, one of which shows pictures, for the service."""

import json
from pathlib import Path

from PIL import Image, ImageDraw

from kdsl.project.project import Project
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Review, Rule, When
from kdsl.sample import Label, Task

RETURNS = Task("returns", (Label("退款"), Label("尺码")))
DESK = Task("desk", (Label("退款"), Label("尺码")))
TEXTS = {"退款": ("我要退款", "退款到了吗", "还没退款"), "尺码": ("太小了", "尺码太小", "太小想换")}
_WHEN = When(all=(Condition(field="user", terms=("钱",)),))
MONEY = Rule(
    id="r-mine0001", label="退款", status="accepted", when=_WHEN,
    review=Review(by="Li", at="2026-01-01", of=Rule(id="r-mine0001", label="退款", when=_WHEN).when_hash),
)  # fmt: skip
QUICK = {"mining.iterations": 5, "mining.max_conditions": 1, "encoder": "none", "small": "lexical", "data.ocr": None}


def write_shop(folder: Path) -> Path:
    """The project in `folder`, mined and trained, with one rule by hand."""
    Project.create(folder, [RETURNS, DESK])
    records = [
        {"id": f"{label}{n}", "task": task.name, "text": text, "label": label}
        for task in (RETURNS, DESK)
        for label, texts in TEXTS.items()
        for n, text in enumerate(texts)
    ]
    (folder / "data" / "train.json").write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    (folder / "data" / "images").mkdir(exist_ok=True)
    (folder / "data" / "images" / "known.png").write_bytes(picture("white"))
    project = opened(folder)
    project.rules("returns").save(MONEY)
    project.mine(workers=1)
    project.train()
    return folder


def opened(folder: Path, **more: object) -> Project:
    """The project, with entries of kdsl.yaml by key, `__` standing for a dot."""
    return Project.open(folder, {**QUICK, **{key.replace("__", "."): value for key, value in more.items()}})


def picture(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    """A PNG."""
    from io import BytesIO

    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).line((0, 0, *size), fill="black", width=3)
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
