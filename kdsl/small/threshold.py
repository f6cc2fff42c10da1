"""From which probability on an answer counts as yes: models lean towards one of the two answers."""

from collections.abc import Sequence

import numpy as np

LOWEST, HIGHEST = 0.1, 0.9
"""A model that finds yes more probable, or less, on all images has seen no difference between them."""


def choose_threshold(probabilities: Sequence[float]) -> float:
    """The probability that best parts the answers to one question over the training images in two groups.

    It makes the variance of the log odds between the groups largest (Otsu 1979, "A threshold selection method from
    gray-level histograms") and looks at no label, so that held-out samples stay held out. Kept within [0.1, 0.9].
    """
    bounded = np.clip(np.array(probabilities, dtype=np.float64), 1e-4, 1 - 1e-4)
    values = np.sort(np.log(bounded / (1 - bounded)))
    if len(values) < 2 or values[0] == values[-1]:
        return 0.5
    below = np.arange(1, len(values))
    sums = np.cumsum(values)
    means = sums[:-1] / below
    above = (sums[-1] - sums[:-1]) / (len(values) - below)
    between = below * (len(values) - below) * (above - means) ** 2
    best = int(np.argmax(np.where(values[1:] > values[:-1], between, -1.0)))
    middle = (values[best] + values[best + 1]) / 2
    return round(float(np.clip(1 / (1 + np.exp(-middle)), LOWEST, HIGHEST)), 6)
