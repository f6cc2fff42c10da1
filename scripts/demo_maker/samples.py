"""Turns dialogues and pages into shuffled, numbered samples with their images, and splits them."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from .dialogues import Dialogue, make_dialogues
from .drawing import Page
from .intents import INTENTS
from .order_pages import delivery_page, order_page
from .page_parts import trim
from .scenes import SCENES, Screenshot, make_screenshots
from .shop_pages import options_page, product_page

TEST_SHARE = 0.25
INTENT_PROMPT = """\
你是一个电商客服专家，请根据用户与客服的多轮对话判断用户的意图分类标签。
<用户与客服的对话 START>
{dialogue}
<用户与客服的对话 END>
请直接只输出分类标签结果，不需要其他多余的话。以下是可以参考的分类标签为：{labels}
"""
SCENE_PROMPT = (
    "Picture 1: <image>\n"
    "你是一个电商领域识图专家,可以理解消费者上传的软件截图或实物拍摄图。现在,请你对消费者上传的图片进行分类。"
    "你只需要回答图片分类结果,不需要其他多余的话。以下是可以参考的分类标签,分类标签:{labels}。"
)


@dataclass(frozen=True)
class DemoSample:
    instruction: str
    label: str
    task: str
    images: tuple[Image.Image, ...]
    spoken: str = ""  # what its voice message says, where it has one

    def record(self, sample_id: str) -> dict[str, Any]:
        names = image_names(sample_id, len(self.images))
        record = {"id": sample_id, "instruction": self.instruction, "input": "", "output": self.label, "image": names}
        return {**record, "audio": [voice_name(sample_id)]} if self.spoken else record


def image_names(sample_id: str, count: int) -> list[str]:
    return [f"{sample_id}-{i}.png" for i in range(count)]


def voice_name(sample_id: str) -> str:
    return f"{sample_id}.ogg"


def make_samples(seed: int, font: Path | None) -> tuple[list[DemoSample], list[DemoSample]]:
    """(train, test), both tasks mixed, every label in both, in an order that says nothing about labels."""
    intents = quoted([intent.name for intent in INTENTS])
    scenes = quoted([scene.name for scene in SCENES])
    rng = Random(f"samples {seed}")
    samples = [intent_sample(dialogue, intents, rng, font) for dialogue in make_dialogues(seed)]
    samples += [scene_sample(screenshot, scenes) for screenshot in make_screenshots(seed, font)]
    rng.shuffle(samples)
    by_label: dict[tuple[str, str], list[DemoSample]] = defaultdict(list)
    for sample in samples:
        by_label[sample.task, sample.label].append(sample)
    test = {id(s) for group in by_label.values() for s in group[: max(1, round(TEST_SHARE * len(group)))]}
    return [s for s in samples if id(s) not in test], [s for s in samples if id(s) in test]


def numbered(train: list[DemoSample], test: list[DemoSample]) -> tuple[list[str], list[str]]:
    """The ids of both splits: consecutive numbers in the shuffled order."""
    ids = [f"demo-{number:04}" for number in range(1, len(train) + len(test) + 1)]
    return ids[: len(train)], ids[len(train) :]


def intent_sample(dialogue: Dialogue, labels: str, rng: Random, font: Path | None) -> DemoSample:
    instruction = INTENT_PROMPT.format(dialogue=dialogue.text(), labels=labels)
    images = tuple(attached(rng, font) for _ in range(dialogue.images))
    return DemoSample(instruction, dialogue.label, "demo_intent", images)


def scene_sample(screenshot: Screenshot, labels: str) -> DemoSample:
    return DemoSample(SCENE_PROMPT.format(labels=labels), screenshot.label, "demo_scene", (screenshot.page.image,))


def attached(rng: Random, font: Path | None) -> Image.Image:
    """A screenshot that goes with a dialogue whatever it is about: mostly the product that is talked of."""
    page = Page(Random(rng.random()), font, height=rng.choice((640, 720, 780)))
    rng.choices((product_page, options_page, order_page, delivery_page), weights=(5, 3, 2, 1))[0](page)
    trim(page)
    return page.image


def quoted(names: list[str]) -> str:
    """The label list of a prompt, without its brackets."""
    return "[" + ",".join(f'"{name}"' for name in names) + "]"
