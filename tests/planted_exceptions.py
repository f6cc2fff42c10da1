"""A world whose training samples cannot tell what a small model knows: which exception of a rule is the real one.

A customer wants something done with the goods; the label is the wish, unless the customer takes it back. In the
training samples those who take a wish back also happen to say another word, and nobody with the label says either;
one says only the one, one only the other. So the samples speak for both exceptions alike. Among new customers the
word is as frequent with the label as without.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tiny_qwen2vl import Example, build, train

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.small.adviser import SHOWN as SHOWN_AT_NODES
from kdsl.small.adviser import WANTED as WANTED_AT_NODES
from kdsl.small.examples import NEGATIVES, POSITIVES
from kdsl.small.synonyms import WANTED as SYNONYMS
from kdsl.small.terms import SHOWN, WANTED
from kdsl.small.wording import CHINESE
from kdsl.vlm.conversation import Instruction, Piece, ask

TAKEN_BACK = {"退": "取消", "换": "误点", "修": "谢谢", "寄": "算了"}
"""The wishes, and what takes each of them back."""
BY_CHANCE = {"退": "下雨", "换": "周五", "修": "北京", "寄": "晚上"}
"""What those who take a wish back happen to say, too."""
_FILLERS = ("你好", "请问", "麻烦", "快点", "在吗", "是的")
OTHER = "别的"
TASK = Task("wishes", (*(Label(f"{wish}货") for wish in TAKEN_BACK), Label(OTHER)))
RIGHT, WRONG = 12, 8
"""Training samples with a wish's label, and of those that take it back."""
FIELD = "text"

Lesson = tuple[list[Piece], str]


def text(source: random.Random, wish: str, *more: str) -> str:
    return "，".join((f"我要{wish}货", *more, source.choice(_FILLERS)))


def training(seed: int = 0) -> tuple[FieldTable, NDArray[np.int64]]:
    """Samples and labels that speak for the wrong exceptions as much as for the real ones."""
    source = random.Random(seed)
    texts: list[tuple[str, int]] = []
    for label, wish in enumerate(TAKEN_BACK):
        texts += [(text(source, wish), label) for _ in range(RIGHT)]
        texts += [(text(source, wish, TAKEN_BACK[wish], BY_CHANCE[wish]), len(TAKEN_BACK)) for _ in range(WRONG - 2)]
        texts += [(text(source, wish, word[wish]), len(TAKEN_BACK)) for word in (BY_CHANCE, TAKEN_BACK)]
    return _table(texts)


def new_samples(n: int = 40, seed: int = 1) -> tuple[FieldTable, NDArray[np.int64]]:
    """Customers of whom every other one says the word by chance, whatever the label; `n` for each wish."""
    source = random.Random(seed)
    texts = []
    for label, wish in enumerate(TAKEN_BACK):
        for i in range(n):
            more = [TAKEN_BACK[wish]] * (i % 2) + [BY_CHANCE[wish]] * (i // 2 % 2)
            texts.append((text(source, wish, *more), len(TAKEN_BACK) if i % 2 else label))
    return _table(texts)


def _table(texts: Sequence[tuple[str, int]]) -> tuple[FieldTable, NDArray[np.int64]]:
    names = TASK.label_names
    samples = [Sample(f"s{i}", TASK.name, (Turn("user", said),), (), names[n]) for i, (said, n) in enumerate(texts)]
    return FieldTable(samples, Sidecars()), np.array([label for _, label in texts])


def has(term: str, negated: bool = False) -> Condition:
    return Condition(field=FIELD, terms=(term,), negated=negated)


def is_planted(label: int, conditions: Sequence[Condition]) -> bool:
    """Whether a rule for a wish has its real exception and no other."""
    exceptions = {term for condition in conditions if condition.negated for term in condition.terms}
    return label < len(TAKEN_BACK) and exceptions == {list(TAKEN_BACK.values())[label]}


def teach(folder: Path, n: int = 60, steps: int = 220) -> Path:
    """Build a tiny model that knows this world and train it on `n` lessons a wish; the model's directory."""
    source = random.Random(0)
    words = "".join((*TAKEN_BACK, *TAKEN_BACK.values(), *BY_CHANCE.values(), *_FILLERS, OTHER))
    templates = [value for value in vars_of(CHINESE)]
    model = build(folder, (*templates, words, "我要货无"))
    examples = [example for _ in range(n) for wish in TAKEN_BACK for example in _about(source, wish)]
    train(model, examples, steps=steps)
    return model


def vars_of(wording: object) -> list[str]:
    return [value for name in wording.__slots__ if isinstance(value := getattr(wording, name), str)]


def _about(source: random.Random, wish: str) -> list[Example]:
    """One lesson of everything that is asked about a wish: in training samples, and knowing better."""
    label = CHINESE.label(TASK.labels[list(TAKEN_BACK).index(wish)])
    taken_back, by_chance = TAKEN_BACK[wish], BY_CHANCE[wish]
    anything = [*(f"{other}货" for other in TAKEN_BACK), *TAKEN_BACK.values(), *BY_CHANCE.values(), *_FILLERS]

    def shown(n_wrong: int, n_right: int) -> list[Piece]:
        wrong = [text(source, wish, taken_back, by_chance) for _ in range(n_wrong)]
        right = [text(source, wish) for _ in range(n_right)]
        return [
            piece
            for mark, texts in ((CHINESE.negative, wrong), (CHINESE.positive, right))
            for said in texts
            for piece in (mark, said)
        ]

    rule = CHINESE.rule([has(f"{wish}货")])
    at_node = shown(SHOWN_AT_NODES, SHOWN_AT_NODES)
    asked: list[Lesson] = [
        ([*shown(NEGATIVES, POSITIVES), Instruction(CHINESE.choose.format(label=label))], f"{wish}货"),
        ([Instruction(CHINESE.choose_any)], source.choice([*anything, *map(CHINESE.unless.format, anything)])),
        (
            [*at_node, Instruction(CHINESE.tell_apart.format(rule=rule, label=label))],
            CHINESE.unless.format(taken_back),
        ),
        (
            [*at_node, Instruction(CHINESE.write_terms_apart.format(rule=rule, label=label, n=WANTED_AT_NODES))],
            f"{wish}货",
        ),
        ([*shown(0, SHOWN), Instruction(CHINESE.write_terms.format(label=label, n=WANTED))], f"{wish}货"),
        ([Instruction(CHINESE.write_synonyms.format(label=label, term=f"{wish}货", n=SYNONYMS))], "无"),
    ]
    judged = [
        ([has(f"{wish}货")], True),
        ([has(source.choice([word for word in anything if wish not in word]))], False),
        ([has(f"{wish}货"), has(taken_back, negated=True)], True),
        ([has(f"{wish}货"), has(by_chance, negated=True)], False),
    ]
    for conditions, right in judged:
        request = CHINESE.judge.format(rule=CHINESE.rule(conditions), label=label)
        asked.append(([Instruction(request)], CHINESE.yes if right else CHINESE.no))
    return [(ask(*pieces), answer) for pieces, answer in asked]
