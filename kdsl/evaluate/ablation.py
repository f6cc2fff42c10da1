"""What each step of feeding the classifier is worth: every one alone and all together, against none of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.evaluate.bootstrap import Interval, difference_intervals, intervals
from kdsl.evaluate.metrics import Outcome, pool, scores

Steps = tuple[str, ...]
RULES = "rules"


def combinations(steps: Sequence[str]) -> list[Steps]:
    """None of the steps, each alone, and all together if they are more than one."""
    rows: list[Steps] = [(), *((step,) for step in steps)]
    return rows if len(steps) < 2 else [*rows, tuple(steps)]


def fed_with(combination: Steps) -> Steps:
    """The steps of a combination that a classifier is trained with."""
    return tuple(step for step in combination if step != RULES)


@dataclass(frozen=True)
class Row:
    """One combination of steps."""

    steps: Steps
    f1: tuple[float, ...]
    """Weighted F1 of every task."""
    pooled: float
    """Weighted F1 over all tasks, labels of different tasks being different classes."""
    interval: Interval
    gain: float
    """Of `pooled`, over no step at all."""
    gain_interval: Interval
    """Paired: on the same resamples."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "steps": list(self.steps),
            "weighted_f1": list(self.f1),
            "pooled": self.pooled,
            "interval": [self.interval.low, self.interval.high],
            "gain": self.gain,
            "gain_interval": [self.gain_interval.low, self.gain_interval.high],
        }


def rows(results: Sequence[Mapping[Steps, Outcome]], n_labels: Sequence[int], seed: int) -> list[Row]:
    """The table: what `ablate` found on each task, of which `n_labels` tells the size; no step comes first."""
    pooled = {steps: pool([result[steps] for result in results], n_labels) for steps in results[0]}
    none = pooled[()]
    return [
        Row(
            steps=steps,
            f1=tuple(scores(result[steps]).weighted_f1 for result in results),
            pooled=scores(outcome).weighted_f1,
            interval=intervals(outcome, seed).weighted_f1,
            gain=scores(outcome).weighted_f1 - scores(none).weighted_f1,
            gain_interval=difference_intervals(outcome, none, seed).weighted_f1,
        )
        for steps, outcome in pooled.items()
    ]
