"""What the samples of a run cost in model calls and output tokens, held to a limit for each sample."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, field

from kdsl.errors import KdslError
from kdsl.sample import SampleKey


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sample may cost in all; None is unlimited. `limits: {calls: 3, tokens: 100}` in kdsl.yaml."""

    calls: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Model calls, output tokens, and pieces dropped from prompts that were too long."""

    calls: int = 0
    tokens: int = 0
    dropped: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.calls + other.calls, self.tokens + other.tokens, self.dropped + other.dropped)


@dataclass
class Usage:
    """The cost of every sample, by key. Ask with `allows` (or `require`) before a call, `charge` after it, and
    `settle` once a sample is decided: another sample that has its id costs its own."""

    limits: Limits = Limits()
    _costs: dict[SampleKey, Cost] = field(default_factory=dict)
    """Of samples that are not settled."""
    _settled: int = 0
    _total: Cost = Cost()
    _most: Cost = Cost()

    def allows(self, sample: SampleKey, calls: int = 1, tokens: int = 0) -> bool:
        """Whether the sample may cost so much more: `tokens` is the most the next calls can put out."""
        after = self.of(sample) + Cost(calls, tokens)
        return (self.limits.calls is None or after.calls <= self.limits.calls) and (
            self.limits.tokens is None or after.tokens <= self.limits.tokens
        )

    def require(self, sample: SampleKey, calls: int = 1, tokens: int = 0) -> None:
        """Raises KdslError where `allows` is False."""
        if not self.allows(sample, calls, tokens):
            spent, (task, identity) = self.of(sample), sample
            raise KdslError(
                f"sample {identity!r} of {task}: {calls} more model call(s) of up to {tokens} output tokens after "
                f"{spent.calls} call(s) and {spent.tokens} tokens would exceed `limits: "
                f"{self._written()}`; raise the limits, or use fewer visual questions or shorter answers"
            )

    def tokens_left(self, sample: SampleKey) -> int | None:
        """Output tokens that the sample may still cost; None is unlimited."""
        return None if self.limits.tokens is None else max(0, self.limits.tokens - self.of(sample).tokens)

    def charge(self, sample: SampleKey, cost: Cost) -> None:
        """Count what a call has cost; never raises, since the answer is there."""
        self._costs[sample] = self.of(sample) + cost

    def settle(self, samples: Iterable[SampleKey]) -> None:
        """These are decided, or cannot be: what they cost is in `total`, `most` and `number`, and `of` is nothing."""
        for sample in samples:
            cost = self._costs.pop(sample, None)
            if cost is not None:
                self._settled += 1
                self._total += cost
                self._most = _largest([self._most, cost])

    def of(self, sample: SampleKey) -> Cost:
        return self._costs.get(sample, Cost())

    def total(self) -> Cost:
        return sum(self._costs.values(), self._total)

    def most(self) -> Cost:
        """The largest number of calls, of tokens and of dropped pieces that any sample cost."""
        return _largest([self._most, *self._costs.values()])

    @property
    def number(self) -> int:
        """Of the samples that cost anything."""
        return self._settled + len(self._costs)

    def _written(self) -> str:
        parts = (("calls", self.limits.calls), ("tokens", self.limits.tokens))
        return "{" + ", ".join(f"{name}: {limit}" for name, limit in parts if limit is not None) + "}"


def _largest(costs: Iterable[Cost]) -> Cost:
    return Cost(*(max(each) for each in zip(*map(astuple, costs), strict=True)))


class CallBudget:
    """Calls that are left. Answers that are known from an earlier run count too, so that a run that was interrupted
    asks what an uninterrupted one asks."""

    def __init__(self, calls: int) -> None:
        self.calls = self._left = calls
        self.refused = 0
        """Calls that were wanted beyond the budget."""

    def take(self, wanted: int) -> int:
        """How many of so many calls may be made, which are then spent."""
        granted = min(wanted, self._left)
        self._left -= granted
        self.refused += wanted - granted
        return granted

    def take_all(self, wanted: int) -> bool:
        """Whether so many calls may be made, which are then spent; without all of them none is."""
        if wanted > self._left:
            self.refused += wanted
            return False
        return self.take(wanted) == wanted

    def set_aside(self, n: int, share: float) -> int:
        """Spend a share of what is left on `n` equal budgets; how many calls each of them has."""
        each = int(share * self._left) // max(n, 1)
        self._left -= n * each
        return each
