"""Handing a decision to a person: the confidence under which nothing is decided, chosen out of fold."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kdsl.config_parts import AbstainConfig
from kdsl.record_file import RecordModel, Share


class Abstention(RecordModel):
    """Decisions whose confidence, the probability of the likeliest label, is below `below` are a person's."""

    asked: AbstainConfig
    """What it was chosen for."""
    below: float = Field(ge=0)
    """Above 1 where nothing is decided."""
    coverage: Share
    """Share of the training samples that were decided, out of fold."""
    error: Share | None
    """Share of these that were wrong; None where none was decided."""

    @property
    def told(self) -> str:
        """What it came to, in a clause for a person."""
        if self.error is None:
            return "every decision is handed to a person"
        share, wrong = f"{1 - self.coverage:.0%}", f"{self.error:.1%}"
        return f"{share} of the decisions are handed to a person, of the others {wrong} are wrong out of fold"


def choose_abstention(
    asked: AbstainConfig, probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> Abstention:
    """The smallest threshold that gives what is asked, by `probabilities` [n_samples, n_labels] out of fold.

    `error`: as many decisions as there may be with at most that share of them wrong; where even the surest one is
    wrong too often, nothing is decided. `share`: at most that share of the samples, the least sure, is handed over.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    # Where confidences are equal all of them are decided, or none.
    last = np.append(ordered[1:] < ordered[:-1], True)
    counts = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~right[order])
    if asked.error is not None:
        possible = np.flatnonzero(last & (wrong <= asked.error * counts))
    else:
        assert asked.share is not None
        possible = np.flatnonzero(last & (counts >= (1 - asked.share) * len(order) - _ROUNDING))[:1]
    if not len(possible):
        return Abstention(asked=asked, below=2.0, coverage=0.0, error=None)
    end = int(possible[-1])
    # Between two confidences, so that what is rounded in a file falls on the same side.
    below = 0.0 if end + 1 == len(order) else float(ordered[end] + ordered[end + 1]) / 2
    return Abstention(
        asked=asked, below=below, coverage=counts[end] / len(order), error=float(wrong[end] / counts[end])
    )


_ROUNDING = 1e-9
