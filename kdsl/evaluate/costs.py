"""What predicting the samples of an evaluation cost in model calls and output tokens, and how large the models are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kdsl.sample import SampleKey
from kdsl.vlm.usage import Cost, Limits


@dataclass(frozen=True)
class Spent:
    """Of one kind, a sample."""

    mean: float
    most: int
    limit: int | None
    """None is unlimited."""


@dataclass(frozen=True)
class OverLimit:
    """A sample that cost more than `limits` allow."""

    task: str
    id: str
    calls: int
    tokens: int


@dataclass(frozen=True)
class CostSummary:
    samples: int
    """Whose predictions tell what they cost."""
    calls: Spent
    tokens: Spent
    over: tuple[OverLimit, ...]


@dataclass(frozen=True)
class CountedModel:
    """One of the models that predicting a sample uses."""

    part: str
    """Such as `large` or `encoder`: the key of kdsl.yaml that names it."""
    name: str
    parameters: int | None
    """None where nobody tells."""


@dataclass(frozen=True)
class Parameters:
    """Of all models that predicting a sample uses together."""

    models: tuple[CountedModel, ...]
    limit: float | None
    """`limits.parameters`, in billions; None is unlimited."""

    @property
    def known(self) -> int:
        """Of those models that tell."""
        return sum(model.parameters or 0 for model in self.models)

    @property
    def unknown(self) -> tuple[CountedModel, ...]:
        return tuple(model for model in self.models if model.parameters is None)

    @property
    def exceeded(self) -> bool:
        """Whether those that are known are too many already."""
        return self.limit is not None and self.known > self.limit * 1e9

    def __str__(self) -> str:
        """In billions, model by model."""
        parts = [f"{each.part} {each.name} {billions(each.parameters)}" for each in self.models]
        return f"{', '.join(parts)}: {billions(self.known)} billion together"


def billions(parameters: int | None) -> str:
    """Such as 8.29; small models have as many digits as it takes to be more than nothing."""
    if parameters is None:
        return "unknown"
    number = parameters / 1e9
    return f"{number:.2f}" if number >= 0.1 or not number else f"{number:.2g}"


def cost_summary(costs: Iterable[tuple[SampleKey, Cost]], limits: Limits) -> CostSummary | None:
    """What samples cost beside `limits`; None where no prediction tells."""
    found = list(costs)
    if not found:
        return None
    over = [
        OverLimit(task, id_, cost.calls, cost.tokens)
        for (task, id_), cost in found
        if _exceeds(cost.calls, limits.calls) or _exceeds(cost.tokens, limits.tokens)
    ]
    return CostSummary(
        samples=len(found),
        calls=_spent([cost.calls for _, cost in found], limits.calls),
        tokens=_spent([cost.tokens for _, cost in found], limits.tokens),
        over=tuple(over),
    )


def _spent(counts: Sequence[int], limit: int | None) -> Spent:
    return Spent(sum(counts) / len(counts), max(counts), limit)


def _exceeds(count: int, limit: int | None) -> bool:
    return limit is not None and count > limit
