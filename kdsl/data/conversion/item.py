"""What one record of a converted file is made of: a sample, its task, where it came from, and what was predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kdsl.data.dialogue import dialogue_text, speakers_of
from kdsl.sample import Sample, Task


@dataclass(frozen=True)
class Predicted:
    """What `kdsl predict` said about a sample; None and "" for what the file of predictions does not tell."""

    label: str | None
    """None where the decision was left to a person."""
    confidence: float | None = None
    runner_up: str | None = None
    runner_up_confidence: float | None = None
    decided_by: str = ""
    label_without_rules: str | None = None
    rules: tuple[str, ...] = ()
    """Ids of the rules that hold."""
    reason: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Predicted":
        """From a line of a prediction file, whose label is known to be one; other parts may be missing."""
        label, probabilities = record.get("label"), _mapping(record.get("probabilities"))
        known = {name: float(p) for name, p in probabilities.items() if isinstance(p, int | float)}
        ranked = sorted((name for name in known if name != label), key=lambda name: -known[name])
        decision = _mapping(record.get("decision"))
        without = decision.get("label_without_rules")
        rules = record.get("rules")
        return cls(
            label,
            known.get(label) if label is not None else known[ranked[0]] if ranked else None,
            ranked[0] if ranked else None,
            known[ranked[0]] if ranked else None,
            str(decision.get("by") or ""),
            without if isinstance(without, str) else None,
            tuple(str(_mapping(rule).get("id")) for rule in rules) if isinstance(rules, list) else (),
            str(decision.get("reason") or ""),
        )

    def columns(self) -> dict[str, Any]:
        """By the name that each part has in tables and JSON."""
        return {
            "predicted": self.label,
            "confidence": self.confidence,
            "runner_up": self.runner_up,
            "runner_up_confidence": self.runner_up_confidence,
            "decided_by": self.decided_by,
            "label_without_rules": self.label_without_rules,
            "rules": list(self.rules),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Item:
    """`original` is the record that the sample was read from; `predicted` is None where nothing was."""

    sample: Sample
    task: Task
    original: Mapping[str, Any] = field(default_factory=dict)
    predicted: Predicted | None = None
    asked: tuple[str, str] | None = None
    """What the labelling tool that the samples come from calls the question, and what it is about, where it tells."""

    @property
    def labels(self) -> list[str]:
        """The labels of the sample, for tools that keep them in a list."""
        return [] if self.sample.label is None else [self.sample.label]

    @property
    def is_text(self) -> bool:
        """Whether what is said is one text of the user, without images of its own, or nothing."""
        turns = self.sample.turns
        return not turns or (len(turns) == 1 and turns[0].role == "user" and not turns[0].images)

    @property
    def text(self) -> str:
        """What is said, a dialogue as lines with speakers."""
        turns = self.sample.turns
        if len(turns) == 1 and turns[0].role == "user":
            return turns[0].text
        return dialogue_text([replace(turn, images=()) for turn in turns], speakers_of(self.task))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
