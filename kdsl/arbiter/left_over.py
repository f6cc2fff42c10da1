"""How good a classifier is on samples that were too many to be learned from, to be told."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Loss:
    """Of a classifier alone, without rules, on samples that it never saw."""

    learned: int
    """Samples that it learned from."""
    log_loss: float
    """Mean over samples, in nats; with several labels a sample mean over these, too."""
    accuracy: float
    """The share of samples whose label, or labels, it says."""


@dataclass(frozen=True)
class LeftOver:
    """The losses of the classifier that learned from all samples it may, and of one that learned from half of them."""

    samples: int
    """That were looked at, of those left over."""
    whole: Loss
    half: Loss

    def told(self, task: str) -> str:
        """In a sentence."""
        gain = self.half.log_loss - self.whole.log_loss
        more = "more samples would help" if gain > 0.01 * self.half.log_loss else "more samples would hardly help"
        return (
            f"{task}: learned from {self.whole.learned} samples (mining.max_samples), the classifier has log loss "
            f"{self.whole.log_loss:.4f} and accuracy {self.whole.accuracy:.4f} on {self.samples} others; from half of "
            f"them {self.half.log_loss:.4f} and {self.half.accuracy:.4f}: {more}"
        )

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
