"""A small shop's dialogues and pages, invented, with rules about them."""

import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kdsl.augmentation.augmenter import Augmenter
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("shop", (Label("调光"), Label("材质"), Label("发货")))
SAID = {
    "调光": ("你好，请问这款台灯能不能调亮度呢？", "灯太亮了，怎么调暗一点，谢谢", "<http> 这个灯可以调光吗"),
    "材质": ("请问这款枕头是什么材质的呀？", "亲，面料是不是纯棉的呢，会不会掉色", "里面是羽绒还是棉花"),
    "发货": ("什么时候发货呢，我已经付款了", "下单3天了还没有发货，麻烦帮我催一下", "今天能不能寄出，订单A1024"),
}
LINES = ("订单详情", "商品总价", "运费险", "联系客服", "申请退款", "加入购物车", "立即购买", "我的订单", "待收货")


def sample(number: int, label: str = "调光", text: str | None = None, image: bool = True) -> Sample:
    said = SAID[label][number % 3] if text is None else text
    images = (f"{number}.png",) if image else ()
    turns = (Turn("user", said, images), Turn("agent", "您好，稍等一下，我帮您看看商品详情哦~"))
    return Sample(f"s{number}", "shop", turns, images, label)


def page(image: str, seed: int = 0, size: tuple[int, int] = (300, 600)) -> OcrPage:
    source = random.Random(f"{image}{seed}")
    lines = []
    for row, text in enumerate(source.sample(LINES, len(LINES))):
        x0, y0 = source.uniform(10, 150), 20 + row * 62.0
        lines.append(OcrLine(text, 0.99, (x0, y0, x0 + 110, y0 + 24)))
    return OcrPage(image, size, tuple(lines))


def shop(n: int = 30, rare: int = 3) -> tuple[FieldTable, np.ndarray]:
    """`n` samples, `rare` of them about the last label; each with a page."""
    labels = [2] * rare + [index % 2 for index in range(n - rare)]
    samples = [sample(number, TASK.label_names[label]) for number, label in enumerate(labels)]
    sidecars = Sidecars({s.images[0]: page(s.images[0]) for s in samples})
    return FieldTable(samples, sidecars), np.array(labels)


def augmenter(average: int = 3, **options: object) -> Augmenter:
    return Augmenter(TASK, average, **options)


def rule(number: int, label: str, *conditions: dict) -> Rule:
    return Rule(id=f"r-{number:04}", label=label, when=When(all=tuple(map(Condition.model_validate, conditions))))


RULES = [
    rule(1, "调光", {"last_user": ["调亮度", "调暗", "调光"]}),
    rule(2, "调光", {"last_user": ["请问", "谢谢", "这个"]}, {"not": {"last_user": ["问一下", "想问下", "咨询一下"]}}),
    rule(3, "材质", {"user": ["材质", "面料", "羽绒"]}, {"ocr": ["立即购买"]}),
    rule(4, "发货", {"ocr.top": ["订单详情", "运费险", "我的订单", "待收货"]}),
    rule(5, "材质", {"dialogue": ["稍等一下"]}, {"image.aspect": ">1.9"}),
]


def write_page(path: Path, size: tuple[int, int] = (300, 600)) -> None:
    """A picture with the lines of `page` as bars."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for line in page(path.name, size=size).lines:
        draw.rectangle(line.box, fill="navy")
    image.save(path)
