"""The rules that ship for scenes decide made-up screens alone, without a model and without a training sample."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_pages import PHOTOS, SCREENS

from kdsl.arbiter.fit import unfitted_arbiter
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.engine import Engine
from kdsl.rules.shipped import shipped_rules
from kdsl.sample import Sample
from kdsl.tasks import load_task

TASK = load_task("mire_scene", Path())
RULES = shipped_rules(TASK.name)
ENGINE = Engine(RULES)
WEIGHED = unfitted_arbiter(TASK, FieldTable([], Sidecars()), RULES, {}).weigh(RULES)
WIDTH, HEIGHT = 300, 650
PARTS = ((0.02, 0.09), (0.11, 0.19), (0.22, 0.78), (0.82, 0.88), (0.92, 0.98))
"""Where each part of a screen begins and ends, as shares of its height."""


def lines_within(texts: list[str], begin: float, end: float) -> list[OcrLine]:
    """One line below the other, from `begin` to `end`."""
    step = (end - begin) / max(len(texts), 1)
    tops = [begin + step * index for index in range(len(texts))]
    return [OcrLine(text, 1.0, (20, top, 200, top + 0.8 * step)) for text, top in zip(texts, tops, strict=True)]


def screen(described: str) -> tuple[Image.Image, list[OcrLine]]:
    """A white page with the lines of `scene_pages`."""
    parts = re.split(r" /(?= |$)", described)
    lines = [
        line
        for (begin, end), part in zip(PARTS, parts, strict=False)
        for line in lines_within(part.split(), begin * HEIGHT, end * HEIGHT)
    ]
    return Image.new("RGB", (WIDTH, HEIGHT), "white"), lines


def photo(described: str) -> tuple[Image.Image, list[OcrLine]]:
    """A camera's noise, four by three."""
    noise = np.random.default_rng(0).integers(60, 200, (400, 300, 3), dtype=np.uint8)
    return Image.fromarray(noise), lines_within(described.split(), 50, 350)


def said(folder: Path, image: Image.Image, lines: list[OcrLine]) -> list[str]:
    """The labels with most evidence by the rules alone: several where they are undecided, none without a hit."""
    image.save(folder / "page.png")
    pages = {"page.png": OcrPage("page.png", image.size, tuple(lines))}
    sidecars = Sidecars(ocr=pages, pictures=Pictures(folder))
    table = FieldTable([Sample("page", TASK.name, (), ("page.png",), None)], sidecars)
    [evidence] = WEIGHED.evidence(ENGINE.matrix(table), len(TASK.labels))
    return [label for label, value in zip(TASK.label_names, evidence, strict=True) if value == evidence.max() > 0]


@pytest.mark.parametrize(
    ("label", "described"), [(label, described) for label, screens in SCREENS.items() for described in screens]
)
def test_a_screen_gets_its_label(tmp_path, label, described):
    assert said(tmp_path, *screen(described)) == [label]


@pytest.mark.parametrize(
    ("label", "described"), [(label, described) for label, photos in PHOTOS.items() for described in photos]
)
def test_a_photo_gets_its_label(tmp_path, label, described):
    assert said(tmp_path, *photo(described)) == [label]


def test_the_pages_are_of_all_scenes():
    assert {*SCREENS, *PHOTOS} == set(TASK.label_names)


def test_a_page_of_something_else_gets_no_label(tmp_path):
    """So a model, or a person, decides."""
    assert said(tmp_path, *screen("星空 / / 今天 适合 远足 晴 / / 明天")) == []


@pytest.mark.parametrize(
    ("described", "label"),
    [
        ("退款详情 / / 退款原因 申请时间 退款金额 / / ", "退款页面"),
        ("退货退款详情 / / 退款原因 申请时间 退款金额 / / ", "退货页面"),
        ("7:00 / / 物流明细 打电话 运输中 已离开 发往 / / ", "物流页面-物流跟踪页面"),
        ("7:00 / 温馨提示中 / 物流明细 打电话 运输中 已离开 发往 / / ", "物流页面-物流异常页面"),
        ("订单详情 / / 竹扇 付款时间 订单编号 交易快照 / / ", "订单详情页面"),
        ("订单详情 / / 寄 收 已付8.00元 / 运费明细 / ", "支付页面"),
        ("进度详情 / / 卖家处理中 投诉原因 投诉单号 / / ", "平台介入页面"),
        ("9:00 / / 进度详情 卖家处理中 投诉原因 投诉单号 / / ", "投诉举报页面"),
    ],
)
def test_what_tells_neighbours_apart(tmp_path, described, label):
    """One line, or its place, makes the difference."""
    assert said(tmp_path, *screen(described)) == [label]
