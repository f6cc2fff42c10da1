"""Decisions as an arbiter makes them, without one: of a shop with three labels, and of one with several a sample."""

from collections.abc import Sequence

import numpy as np

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.multi_label_decision import LabelDecision, MultiLabelDecision
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn

LABELS = ("调光", "材质", "物流")
TERMS = {"r-lamp": ("调光", "亮度"), "r-linen": ("材质", "棉麻")}
"""Rule → its label, and the term that it looks for."""
TEXT = "这灯的亮度能调吗，灯罩是棉麻的？"


def decision(
    id: str = "a",
    merged: Sequence[float] = (0.7, 0.2, 0.1),
    model: Sequence[float] | None = None,
    rules: Sequence[str] = (),
    labels: Sequence[str] = LABELS,
    task: str = "shop",
    text: str = TEXT,
    below: float = 0.0,
    other: str | None = None,
) -> Decision:
    """On a sample on which `rules` hold; the model says the same as both where nothing else is given."""
    sample = Sample(id, task, (Turn("user", text),), label=labels[0])
    alone = np.array(merged if model is None else model)
    hits = tuple(WeighedHit(hit, 0.9, 2.0) for hit in _hits(sample, rules))
    return Decision(sample, tuple(labels), alone, np.array(merged), hits, "all", other=other, below=below)


def several(*held: str, id: str = "a", rules: Sequence[str] = (), task: str = "many") -> MultiLabelDecision:
    """On which the labels `held` hold; the model alone says that 物流 does."""
    sample = Sample(id, task, (Turn("user", TEXT),), labels=LABELS[:1])
    hits = tuple(WeighedHit(hit, 0.9, 2.0) for hit in _hits(sample, rules))
    decisions = tuple(
        LabelDecision(
            label,
            0.9 if label in held else 0.1,
            0.5,
            0.8 if label == "物流" else 0.2,
            0.5,
            tuple(hit for hit in hits if hit.rule.label == label),
            "all",
        )
        for label in LABELS
    )
    return MultiLabelDecision(sample, LABELS, decisions, hits)


def _hits(sample: Sample, rules: Sequence[str]):
    known = [
        Rule(id=id, label=TERMS[id][0], when=When(all=(Condition(field="user", terms=TERMS[id][1:]),))) for id in rules
    ]
    [found] = Engine(known).hits(FieldTable([sample], Sidecars()))
    return found
