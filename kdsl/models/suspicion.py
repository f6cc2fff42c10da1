"""How much speaks against the labels of samples, by what never learned from them.

The score is the self-confidence of confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning:
Estimating Uncertainty in Dataset Labels"), the probability, out of sample, of the label that a sample has, beside that
of the likeliest other one. It is what a model out of fold and the nearest other samples say together: on three of four
benchmark sets they find more wrong labels than either alone (`scripts/bench wrong_labels`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEIGHBOURS = 0.5
"""How much the neighbours count beside the model: power of their probabilities. They are less often right."""
LEAST_ODDS = 20.0
"""How many times as likely as its label another one must be for a sample to be told of.

With 5 % of labels flipped, nearly all wrong ones of four benchmark sets are above it; about two in five of those above
it are wrong."""
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Suspicion:
    """Of each sample, which label is likelier than its own and how much; arrays are [n_samples]."""

    suggested: NDArray[np.int64]
    """The likeliest label but its own: index into the task's."""
    odds: Floats
    """How many times as likely the suggested label is as its own; above 1 where the sample seems to be mislabelled."""

    @property
    def order(self) -> NDArray[np.int64]:
        """Rows, the most suspicious first."""
        return np.argsort(-self.odds, kind="stable")


def suspect(model: Floats, neighbours: Floats, labels: NDArray[np.int64]) -> Suspicion:
    """`model` and `neighbours` [n_samples, n_labels] are probabilities by what did not learn from the sample itself;
    `labels` [n_samples] is what the samples are labelled.

    >>> model, neighbours = np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[0.8, 0.2], [0.8, 0.2]])
    >>> found = suspect(model, neighbours, np.array([0, 1]))
    >>> found.suggested.tolist(), found.odds.round(2).tolist(), found.order.tolist()
    ([1, 0], [0.06, 18.0], [1, 0])
    """
    log = np.log(np.maximum(model, _SMALLEST)) + NEIGHBOURS * np.log(np.maximum(neighbours, _SMALLEST))
    rows = np.arange(len(labels))
    own = log[rows, labels]
    log[rows, labels] = -np.inf
    suggested = log.argmax(axis=1)
    return Suspicion(suggested, np.exp(log[rows, suggested] - own))
