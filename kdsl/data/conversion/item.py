"""What one record of a converted file is made of: a sample, its task, where it came from, and what was predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kdsl.data.dialogue import dialogue_text, speakers_of
from kdsl.sample import Sample, Task


@dataclass(frozen=True)
class Predicted:
    """What `kdsl predict` said about a sample; None and "" for what the file of predictions does not tell."""

    label: str | tuple[str, ...] | None
    """Of a task with several labels a sample all that hold; None where the decision was left to a person."""
    confidence: float | None = None
    runner_up: str | None = None
    runner_up_confidence: float | None = None
    decided_by: str = ""
    label_without_rules: str | tuple[str, ...] | None = None
    rules: tuple[str, ...] = ()
    """Ids of the rules that hold."""
    reason: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Predicted":
        """From a line of a prediction file, whose label is known to be one, or a list; other parts may be missing.

        Of several labels each has a confidence of its own, so that there is none of the whole, and no runner-up.
        """
        decision, rules = _mapping(record.get("decision")), record.get("rules")
        without = decision.get("label_without_rules")
        ids = tuple(str(_mapping(rule).get("id")) for rule in rules) if isinstance(rules, list) else ()
        by, reason = str(decision.get("by") or ""), str(decision.get("reason") or "")
        label, probabilities = record.get("label"), _mapping(record.get("probabilities"))
        if isinstance(label, list):
            alone = tuple(without) if isinstance(without, list) else None
            return cls(tuple(label), decided_by=by, label_without_rules=alone, rules=ids, reason=reason)
        known = {name: float(p) for name, p in probabilities.items() if isinstance(p, int | float)}
        ranked = sorted((name for name in known if name != label), key=lambda name: -known[name])
        return cls(
            label,
            known.get(label) if label is not None else known[ranked[0]] if ranked else None,
            ranked[0] if ranked else None,
            known[ranked[0]] if ranked else None,
            by,
            without if isinstance(without, str) else None,
            ids,
            reason,
        )

    @property
    def labels(self) -> list[str]:
        """One or several, for tools that keep them in a list."""
        return [self.label] if isinstance(self.label, str) else list(self.label or ())

    def columns(self) -> dict[str, Any]:
        """By the name that each part has in tables and JSON."""
        return {
            "predicted": as_json(self.label),
            "confidence": self.confidence,
            "runner_up": self.runner_up,
            "runner_up_confidence": self.runner_up_confidence,
            "decided_by": self.decided_by,
            "label_without_rules": as_json(self.label_without_rules),
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
        return list(self.sample.given_labels or ())

    @property
    def is_labelled(self) -> bool:
        """Whether people have said which labels it has, be it that none of several holds."""
        return self.sample.given_labels is not None

    @property
    def is_text(self) -> bool:
        """Whether what is said is one text of the user, without images or sounds of its own, or nothing."""
        turns = self.sample.turns
        plain = len(turns) == 1 and turns[0].role == "user" and not turns[0].images and not turns[0].audio
        return plain or not turns

    @property
    def text(self) -> str:
        """What is said, a dialogue as lines with speakers."""
        turns = self.sample.turns
        if len(turns) == 1 and turns[0].role == "user":
            return turns[0].text
        return dialogue_text([replace(turn, images=()) for turn in turns], speakers_of(self.task))


def as_json(labels: str | tuple[str, ...] | None) -> str | list[str] | None:
    """One label as it is, several as a list."""
    return list(labels) if isinstance(labels, tuple) else labels


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
