"""Who decided about a sample, and why: what a prediction tells besides labels and probabilities."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedRule:
    """A rule that held on a sample."""

    id: str
    label: str
    reliability: float


@dataclass(frozen=True)
class Why:
    by: str = ""
    reason: str = ""
    rules: tuple[NamedRule, ...] = ()
