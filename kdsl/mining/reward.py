"""What makes a rule good: precision that is likely to last, and recall."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.float64] | NDArray[np.int64]
"""Of samples, weighted or not."""


@dataclass(frozen=True, slots=True)
class Reward:
    """`wilson(correct, hits + cost) · recall^recall_power`, in [0, 1].

    `wilson` is the lower end of the Wilson score interval (Wilson 1927) at `z` standard deviations: two hits of two
    count less than ten of ten. Counts are weighted. `cost` counts every condition and term beyond the
    first as some false hits: chosen among thousands it fits something by chance, so it has to earn its place.
    The constants are our choice.
    """

    positives: float
    """Total weight of the label's samples."""
    z: float = 1.28
    recall_power: float = 0.5

    def __call__(self, correct: Floats, hits: Floats, cost: Floats | float = 0.0) -> Floats:
        """Rewards of rules with these counts, elementwise; 0 where nothing is hit."""
        return wilson(correct, hits + cost, self.z) * (correct / self.positives) ** self.recall_power

    def with_evidence(self, correct: Floats, hits: Floats, cost: Floats | float, evidence: Floats | float) -> Floats:
        """The same where something beside the counts speaks for the rules: `evidence` are log odds of precision."""
        precision = wilson(correct, hits + cost, self.z)
        odds = precision * np.exp(evidence)
        return odds / (1 - precision + odds) * (correct / self.positives) ** self.recall_power


def wilson(correct: Counts, hits: Counts, z: float) -> Floats:
    """Lower end of the Wilson score interval of the precision, elementwise."""
    n = np.maximum(hits, 1e-9)
    square = z * z
    spread = z * np.sqrt(np.maximum(correct - correct * correct / n, 0.0) + square / 4)
    return (correct + square / 2 - spread) / (n + square)
