"""The small model's lessons: what KDSL asks a small model about the world of tests/tiny_qwen2vl.py.

A page is red or blue and the customer writes 退 or 换; the label tells both. So of the conditions in sight the colour
question and the wish make sense for a label, the bar on the page and the other wish do not.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from tiny_qwen2vl import COLOURS, LABELS, QUESTIONS, WISHES, Example, draw_page, train

from kdsl.rules.condition import Condition
from kdsl.sample import Label, Task
from kdsl.small.examples import NEGATIVES, POSITIVES
from kdsl.small.terms import SHOWN, WANTED
from kdsl.small.wording import CHINESE
from kdsl.vlm.conversation import Conversation, Instruction, Picture, Piece, ask

COLOUR, BAR = QUESTIONS
Page = tuple[Path, str, bool]
"""Picture file, colour, and whether it has a bar."""
FIELDS = (
    *("last_user", "user", "agent", "dialogue", "ocr", "ocr.top", "ocr.bottom", "caption"),
    *("image.aspect", "image.count", "turns"),
)
"""Whose names the model learns to read."""
TASK = Task("shop", tuple(Label(name) for name in LABELS))
TEXTS = (
    *(CHINESE.choose, CHINESE.write_terms, CHINESE.write_questions, CHINESE.write_synonyms),
    *(CHINESE.judge, CHINESE.answer, CHINESE.describe, CHINESE.positive, CHINESE.negative, CHINESE.answered),
    *(CHINESE.fields[field] for field in FIELDS),
    *(CHINESE.not_, CHINESE.has, CHINESE.either, CHINESE.both, "我要退货换货色页面还"),
)
CAPTION = "{}色页面"
TERMS = ("退", "换", "退货", "换货", "我要退货", "我要换货")
SYNONYMS = {"退": "还货", "换": "调货"}
"""Other ways to say the wishes; no customer of this world says them."""


def said(wish: str) -> str:
    return f"我要{wish}货"


def has(term: str, field: str = "last_user", negated: bool = False) -> Condition:
    return Condition(field=field, terms=(term,), negated=negated)


def sees(question: str, negated: bool = False) -> Condition:
    return Condition(field="sees", question=question, negated=negated)


def makes_sense(label: str, condition: Condition) -> bool:
    """Whether a condition speaks for a label of this world: the colour tells, which colour is for the data to say."""
    if condition.question is not None:
        return condition.question == COLOUR
    wish = next((wish for wish in WISHES if wish in condition.terms[0]), None)
    return wish is not None and (wish == label[1]) != condition.negated


def teach(model: Path, pages: Path) -> None:
    """Train the model in the directory `model`, in place: to look at pages first, then everything."""
    drawn = draw_pages(pages, 120)
    looking = page_lessons(drawn)
    train(model, looking, steps=180, rate=2e-3)
    train(model, looking + label_lessons(drawn), steps=260, rate=2e-3)


def draw_pages(folder: Path, n: int, seed: int = 0) -> list[Page]:
    source = random.Random(seed)
    pages = []
    for i in range(n):
        colour, bar = source.choice(list(COLOURS)), source.random() < 0.5
        path = folder / f"lesson-{seed}-{i}.png"
        pages.append((draw_page(path, colour, bar, source.randrange(1 << 30)), colour, bar))
    return pages


def page_lessons(pages: Sequence[Page]) -> list[Example]:
    """Both questions about every page, and a caption of every third."""
    examples = []
    for i, (page, colour, bar) in enumerate(pages):
        for question, fact in zip(QUESTIONS, (colour == "红", bar), strict=True):
            examples.append((about(page, question), "是" if fact else "否"))
        if i % 3 == 0:
            examples.append((ask(Picture(page), Instruction(CHINESE.describe)), CAPTION.format(colour)))
    return examples


def label_lessons(pages: Sequence[Page], seed: int = 0) -> list[Example]:
    """Examples of everything that is asked about labels and rules."""
    source = random.Random(seed)
    examples = [judged(source) for _ in range(2 * len(pages))]
    for _ in range(len(pages) // 3):
        examples += about_label(source, pages)
    return examples


def about(page: Path, question: str) -> Conversation:
    return ask(Picture(page), Instruction(CHINESE.answer.format(question=question)))


def judged(source: random.Random) -> Example:
    """Whether a random rule of one or two conditions makes sense for a random label."""
    label = source.choice(TASK.labels)
    conditions = [has(term) for term in TERMS]
    conditions += [sees(question, negated) for question in QUESTIONS for negated in (False, True)]
    rule = source.sample(conditions, source.choice((1, 1, 2)))
    if source.random() < 0.5:  # or else hardly any would make sense
        rule = [condition for condition in conditions if makes_sense(label.name, condition)]
        rule = source.sample(rule, source.choice((1, 2)))
    right = all(makes_sense(label.name, condition) for condition in rule)
    request = CHINESE.judge.format(rule=CHINESE.rule(rule), label=CHINESE.label(label))
    return ask(Instruction(request)), "是" if right else "否"


def about_label(source: random.Random, pages: Sequence[Page]) -> list[Example]:
    """What tells a random label from others, in terms, in questions and in synonyms."""
    label = source.choice(TASK.labels)
    name, wish = CHINESE.label(label), label.name[1]
    own = [page for page, colour, _ in pages if colour == label.name[0]]
    other = [page for page, colour, _ in pages if colour != label.name[0]]

    def shown(mark: str, among: Sequence[Path], times: int) -> list[Piece]:
        return [piece for _ in range(times) for piece in (mark, Picture(source.choice(among)), said(wish))]

    pictures = [Picture(source.choice(own)) for _ in range(3)]
    terms = CHINESE.write_terms.format(label=name, n=WANTED)
    synonyms = CHINESE.write_synonyms.format(label=name, term=f"{wish}货", n=4)
    return [
        (
            ask(
                *shown(CHINESE.negative, other, NEGATIVES),
                *shown(CHINESE.positive, own, POSITIVES),
                Instruction(CHINESE.choose.format(label=name)),
            ),
            source.choice([COLOUR, *(term for term in TERMS if wish in term)]),
        ),
        (ask(Instruction(CHINESE.choose_any)), source.choice([*TERMS, *QUESTIONS])),
        (ask(*shown(CHINESE.positive, own, SHOWN), Instruction(terms)), f"{wish}货\n{wish}钱"),
        (ask(*pictures, Instruction(CHINESE.write_questions.format(label=name, n=2))), "\n".join(QUESTIONS)),
        (ask(Instruction(synonyms)), SYNONYMS[wish]),
    ]


def write_project(folder: Path, n: int = 48, seed: int = 5, **small: object) -> Path:
    """A project of `n` samples with pages the model was not trained on; half of each label's have a bar.

    `small` are entries of kdsl.yaml.
    """
    source = random.Random(seed)
    records = []
    for i in range(n):
        label = LABELS[i % len(LABELS)]
        image = f"{i}.png"
        draw_page(folder / "images" / image, label[0], i // len(LABELS) % 2 == 0, source.randrange(1 << 30))
        turn = {"role": "user", "text": said(label[1]), "images": [image]}
        records.append({"id": f"s{i}", "turns": [turn], "label": label})
    (folder / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    labels = "".join(f"  - {{name: {label}}}\n" for label in LABELS)
    (folder / "task.yaml").write_text(f"name: shop\nlabels:\n{labels}", "utf-8")
    entries = {
        "tasks": ["task.yaml"],
        "data": {"train": "train.jsonl", "images": "images", "questions": "questions.jsonl"},
        "pixels": {"min": 784, "max": 3136},
        "fields": {"visual": False},  # without the model nobody sees the colour
        "mining": {"max_conditions": 2, "iterations": 60},
        **small,
    }
    (folder / "kdsl.yaml").write_text(json.dumps(entries), "utf-8")
    return folder
