"""The generated project that the peers are tried on, and what KDSL makes of its samples."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tiny_project
import tiny_qwen2vl

from kdsl.project.project import Project
from kdsl.vlm.conversation import Conversation
from peering import base
from peering.tokens import Encoded

TASK = "shop"
TEST = "test.jsonl"
_TRAIN, _TESTED = 64, 32


def write_project(folder: Path, model: Path) -> Path:
    """Pages of `base.SIZES`, whose colour the base model calls by the other's name: a trainer has to teach it anew."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_project.write_task(folder, TASK)
    budget = base.BUDGET
    (folder / "kdsl.yaml").write_text(
        f"tasks: [{TASK}.yaml]\ndata: {{train: train.jsonl, test: {TEST}, images: images}}\nlarge: {model}\n"
        f"pixels: {{min: {budget.min_pixels}, max: {budget.max_pixels}}}\nlimits: {{calls: 3, tokens: 100}}\n"
        "mining: {max_conditions: 2, iterations: 30}\n"
        "training: {epochs: 8, learning_rate: 0.005, batch: 8, at_once: 8, patience: 8}\n",
        "utf-8",
    )
    for name, n, seed in (("train.jsonl", _TRAIN, 0), (TEST, _TESTED, 1)):
        tiny_project.write(folder / name, [*_samples(folder / "images", n, seed)])
    return folder


def _samples(images: Path, n: int, seed: int) -> Iterator[dict[str, object]]:
    source = random.Random(seed)
    for index in range(n):
        label, image = tiny_qwen2vl.LABELS[index % 4], f"{seed}-{index}.png"
        size = base.SIZES[index // 4 % len(base.SIZES)]
        colour = tiny_project.OTHER[label[0]]
        base.draw_page(images / image, colour, source.random() < 0.5, size, source.randrange(1 << 30))
        turns = [{"role": "user", "text": f"我要{label[1]}货。", "images": [image]}]
        yield {"id": f"{seed}-{index}", "task": TASK, "turns": turns, "images": [image], "label": label}


def training_tokens(project: Path) -> list[Encoded]:
    """What `kdsl train` would learn, in the order of the export."""
    from kdsl.project.large import tuners_of
    from kdsl.project.task import TaskProject
    from kdsl.training.data import examples_of
    from kdsl.training.examples import Examples
    from kdsl.vlm.processor import Processor

    opened = Project.open(project)
    tuner = tuners_of(opened, TaskProject.all_of(opened))[0]
    recipe = tuner.recipe
    trained, _, _ = examples_of(tuner.data(tuner.together), recipe.prompts)
    encoded = Examples(trained, Processor.load(recipe.base, recipe.budget, recipe.max_tokens))
    rows = (encoded[index] for index in range(len(trained)))
    return [Encoded((*row.prompt.input_ids.tolist(), *row.answer), len(row.answer)) for row in rows]


def conversations(project: Path) -> list[Conversation]:
    """What a model is asked about the test samples."""
    from kdsl.project.large import prompts_of

    opened = Project.open(project)
    task, prompts = opened.task(), prompts_of(opened)
    return [prompts.conversation(task, row) for row in opened.field_table(task, "test").rows]


@dataclass(frozen=True)
class Answer:
    """What KDSL says that the model answered about a sample, and what that cost."""

    label: str
    calls: int
    tokens: int


def read_predictions(path: Path) -> dict[str, Answer]:
    """Sample id → answer, of a file that `kdsl predict` wrote; recorded answers cost nothing."""
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    costs = [each.get("cost", {"calls": 0, "tokens": 0}) for each in records]
    return {
        each["id"]: Answer(each["model"]["label"], cost["calls"], cost["tokens"])
        for each, cost in zip(records, costs, strict=True)
    }


def labels(answers: Mapping[str, Answer]) -> dict[str, str]:
    """Sample id → label."""
    return {name: each.label for name, each in answers.items()}


def equal_answers(ours: Mapping[str, str], theirs: Mapping[str, str]) -> int:
    """Samples about which both say the same."""
    return sum(theirs.get(sample) == label for sample, label in ours.items())


def dearest(answers: Sequence[Answer]) -> tuple[int, int]:
    """The most calls and the most output tokens that one sample cost."""
    return max(each.calls for each in answers), max(each.tokens for each in answers)
