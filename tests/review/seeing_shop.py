"""A small project with an encoder and pictures: dialogues of exact meanings, and two screenshots in a colour each."""

from pathlib import Path

from concept_encoder import concept_vectors
from PIL import Image, ImageDraw
from rule_files import TASK, rule

from kdsl.config import ProjectConfig
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.review.dataset import Dataset, Source
from kdsl.review.live import LiveSite
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task, Turn

REFUND, PARCEL = "退款进度", "物流进度"
SIZE = (100, 200)
DIALOGUES = [
    ("退钱给我", REFUND),
    ("亲，退款到了吗", REFUND),
    ("退款和快递", PARCEL),  # cosine 0.707 to 退钱
    ("快递到哪了", PARCEL),
    ("你好", PARCEL),
]
MEANING = {"means": {"last_user": "退钱", "at": 0.6, "encoder": "concepts"}}
COLOUR = {"image.colour": {"zone": "top", "colour": "orange", "share": ">0.3"}}
KIND = {"image.kind": "screenshot"}
LARGE = {"ocr.size": {"terms": ["退款"], "height": ">0.05"}}


def open_seeing_shop(folder: Path, *rules: dict, vectors: SentenceVectors | None = None) -> LiveSite:
    """One rule for each of `rules`, all for `REFUND`; samples s0 to s4 are dialogues, s5 and s6 images."""
    (folder / "images").mkdir(parents=True)
    for name, colour in (("orange.png", "#f08020"), ("blue.png", "#2040e0")):
        image = Image.new("RGB", SIZE, "white")
        ImageDraw.Draw(image).rectangle((0, 0, SIZE[0], 39), fill=colour)
        image.save(folder / "images" / name)
    line = OcrLine("退款成功", 0.9, (10.0, 60.0, 90.0, 80.0))  # a tenth of the height
    sidecars = Sidecars(
        ocr={"orange.png": OcrPage("orange.png", SIZE, (line,))},
        vectors=vectors,
        pictures=Pictures(folder / "images"),
    )
    samples = [Sample(f"s{i}", TASK, (Turn("user", text),), (), label) for i, (text, label) in enumerate(DIALOGUES)]
    samples += [
        Sample(f"s{5 + i}", TASK, (), (image,), label)
        for i, (image, label) in enumerate([("orange.png", REFUND), ("blue.png", PARCEL)])
    ]
    base = RuleBase(folder / "rules", TASK)
    (folder / "rules" / TASK).mkdir(parents=True)
    for conditions in rules:
        base.save(rule(REFUND, conditions))
    config = ProjectConfig(
        tasks=[TASK], rules=folder / "rules", checkpoint=folder / "checkpoint", data={"images": folder / "images"}
    )
    dataset = Dataset([Task(TASK, (Label(REFUND), Label(PARCEL)))], {TASK: samples}, sidecars)
    return LiveSite(config, Source(lambda: dataset), "小王")


def with_encoder(folder: Path, *rules: dict) -> LiveSite:
    return open_seeing_shop(folder, *rules, vectors=concept_vectors())
