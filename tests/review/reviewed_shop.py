"""A small project for the page: two screenshots, dialogues with markup in them, four rules."""

from pathlib import Path

from PIL import Image
from rule_files import TASK, rule

from kdsl.config import ProjectConfig
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.review.dataset import Dataset, Source
from kdsl.review.live import LiveSite
from kdsl.review.site import Site
from kdsl.review.store import StoredRule
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task, Turn

MARKUP = "<script>alert(1)</script>"
LABELS = ("能否调光", "商品材质", "<b>其他</b>")
ORIGIN = {"origin": "http://testserver", "hx-request": "true"}


def open_shop(folder: Path, rules: int = 4) -> LiveSite:
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (60, 100), "white").save(folder / "images" / "a.png")
    (folder / "secret.png").write_bytes((folder / "images" / "a.png").read_bytes())
    (folder / "images" / "page.html").write_text(MARKUP, encoding="utf-8")
    line = OcrLine(f"立即购买{MARKUP}", 0.9, (5.0, 80.0, 50.0, 95.0))
    sidecars = Sidecars(ocr={"a.png": OcrPage("a.png", (60, 100), (line,))}, captions={"a.png": f"一页{MARKUP}"})
    samples = [
        Sample(f"s{i}", TASK, (Turn("user", f"{words} {MARKUP}"), Turn("agent", "亲，请稍等")), images, label)
        for i, (words, images, label) in enumerate(
            [
                ("亮度可以调吗", (), LABELS[0]),
                ("能调光吗", ("a.png",), LABELS[0]),
                ("亮度怎么样", ("../secret.png",), LABELS[1]),
                ("是什么材质", ("page.html",), LABELS[1]),
                ("材质好吗，亮度呢", (), LABELS[1]),
                ("你好", (), LABELS[2]),
            ]
        )
    ]
    base = RuleBase(folder / "rules", TASK)
    chosen = [
        rule(LABELS[0], {"last_user": ["亮度", "调光"]}),
        rule(LABELS[0], {"last_user": ["明暗"]}),
        rule(LABELS[1], {"dialogue": ["材质"]}),
        rule(LABELS[1], {"ocr": ["立即购买"]}, notes=MARKUP),
        *(rule(LABELS[i % 2], {"user": [f"词{i}", "吗"]}) for i in range(rules - 4)),
    ]
    for each in chosen[:rules]:
        base.save(each)
    config = ProjectConfig(
        tasks=[TASK], rules=folder / "rules", checkpoint=folder / "checkpoint", data={"images": folder / "images"}
    )
    dataset = Dataset([Task(TASK, tuple(map(Label, LABELS)))], {TASK: samples}, sidecars)
    return LiveSite(config, Source(lambda: dataset), "小王")


def stored(site: Site, term: str) -> StoredRule:
    """The rule whose first term this is."""
    return next(each for each in site.store.rules(TASK) if term in each.rule.conditions[0].terms)
