"""What a classifier went by besides the sample itself, for a person who asks why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from kdsl.fields.table import SampleFields

MOST_NEAR = 5
"""Nearest samples that are told of."""
LEANS = 0.05
"""From this share on, a view is missed where it is empty."""


@dataclass(frozen=True)
class NearSample:
    """A labelled sample that is like the asked one; never the asked one itself, a copy or a near-duplicate."""

    id: str
    """Of a changed copy that of the sample it was made of."""
    label: int
    """Index into the task's labels."""
    similarity: float
    """Cosine, above 0 and at most 1."""
    words: str
    """What a person knows it by, in one line."""


@dataclass(frozen=True)
class LikeDescription:
    """The label whose name and description are most like the sample."""

    label: int
    """Index into the task's labels."""
    likeness: float
    """Above 0 and at most 1."""


@dataclass(frozen=True)
class Explanation:
    """All of it about one sample."""

    near: tuple[NearSample, ...] | None = None
    """The nearest first, at most `MOST_NEAR`; None where the classifier does not look at other samples."""
    described: LikeDescription | None = None
    """None where descriptions are not looked at, count for nothing, or have nothing in common with the sample."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """What each of several ensemble counts, by its name; empty where there is one alone."""


@runtime_checkable
class Explainable(Protocol):
    """A classifier that can tell what it looked at."""

    def explain(self, row: SampleFields) -> Explanation:
        """About one sample, as `predict` sees it."""
        ...


@runtime_checkable
class Leaning(Protocol):
    """A classifier that can tell which views of a sample it goes by."""

    @property
    def shares(self) -> Mapping[str, float]:
        """View, such as characters, meaning or last_agent → how much of all it counts: 0 to 1, together 1."""
        ...


def leans_on_answer(shares: Mapping[str, float]) -> bool:
    """Whether a classifier with these `Leaning.shares` predicts worse where the agent has not answered yet."""
    return shares.get("last_agent", 0.0) >= LEANS


def goes_by(shares: Mapping[str, float]) -> str | None:
    """What a classifier goes by, in words, the most first; None for one that cannot tell.

    >>> goes_by({"characters": 0.3, "meaning": 0.7, "sight": 0.0})
    'the model goes by meaning 70%, characters 30%'
    """
    seen = [f"{view} {share:.0%}" for view, share in sorted(shares.items(), key=lambda each: -each[1]) if share > 0]
    if not seen:
        return None
    hint = "; last_agent is what the agent answers: where predictions are made before, set fields.last_agent: false"
    return f"the model goes by {', '.join(seen)}{hint if leans_on_answer(shares) else ''}"
