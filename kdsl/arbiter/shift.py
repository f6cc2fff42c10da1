"""What a rule adds to what the model says already: how far it shifts the log odds of its label where it hits.

    logit P(y = label | the rule hits x) = logit p_model(label | x) + d,      d ~ Normal(mean of its part, WIDTH²)

`d` is the rule's weight, its likeliest value (MAP) given the samples it hits, the model's out-of-fold probabilities
there, and how many of them it is expected to be right about: with n hits and an expected precision r it solves

    n · r − Σ σ(logit p_model(label | xᵢ) + d) = (d − mean) / WIDTH²                                          (1)

A rule that is right as often as the model expects shifts nothing, however precise it is; with no hits `d` is the mean.
The mean of a part, of what people accepted or of what nobody has vouched for, is that of the rules of this part (an
empirical Bayes estimate): the common shift of all their hits, by the same equation, with a normal prior around what is
assumed where nothing is known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kdsl.arbiter.evidence import Flags, Floats
from kdsl.mining.reliability import log_odds

UNSURE = 0.2
"""What an unsure model gives the right label."""
VOUCHED = 0.8
"""What a person's approval says: right at least this often."""
PEOPLE = float(log_odds(VOUCHED) - log_odds(UNSURE))
"""What an accepted rule is taken to shift where nothing is known, 2.77: from UNSURE to VOUCHED."""
MINED = 0.0
"""What a proposed rule is taken to shift where nothing is known."""
WIDTH = 1.0
"""Standard deviation of the shifts of rules around the mean of their part; our choice, as the next one."""
SPREAD = 1.0
"""Standard deviation of the mean of a part around what is assumed."""


@dataclass(frozen=True)
class Means:
    """The mean shift of each part."""

    people: float = PEOPLE
    mined: float = MINED


@dataclass(frozen=True)
class Heard:
    """What is known about the hits of rules: where they hit, and the model's log odds of their label there."""

    log_odds: Floats
    """Of the model, for the label of the rule. [n_hits]"""
    rules: NDArray[np.int64]
    """The rule of every hit. [n_hits]"""
    n_rules: int

    @classmethod
    def of(cls, hits: Flags, labels: NDArray[np.int64], model: Floats) -> "Heard":
        """`hits` [n_samples, n_rules] of rules for `labels` [n_rules], beside the model's probabilities."""
        rows, rules = np.nonzero(hits)
        return cls(log_odds(model[rows, labels[rules]]), rules, hits.shape[1])

    @property
    def hits(self) -> Floats:
        """How many samples every rule hits: [n_rules]."""
        return np.bincount(self.rules, minlength=self.n_rules).astype(np.float64)


def part_means(heard: Heard, precision: Floats, people: Flags) -> Means:
    """The mean shift of the rules that `people` marks, and that of the others; `precision` and `people` [n_rules].

    A rule counts with the square root of its hits: those of one rule, and of rules alike, are not independent.
    """
    weights = 1 / np.sqrt(np.maximum(heard.hits, 1.0))
    part = np.where(people, 0, 1)
    found = _shifts(
        heard.log_odds,
        part[heard.rules],
        weights[heard.rules],
        np.bincount(part, weights * heard.hits * precision, minlength=2).astype(np.float64),
        np.array([PEOPLE, MINED]),
        SPREAD,
    )
    return Means(float(found[0]), float(found[1]))


def shifts(heard: Heard, precision: Floats, means: Floats) -> Floats:
    """`d` of every rule by equation (1), from its expected precision and the mean of its part: all [n_rules]."""
    even = np.ones(len(heard.rules))
    return _shifts(heard.log_odds, heard.rules, even, heard.hits * precision, means, WIDTH)


def _shifts(
    logits: Floats, groups: NDArray[np.int64], weights: Floats, right: Floats, means: Floats, width: float
) -> Floats:
    """The root of `right − Σ weight · σ(logit + d) = (d − mean) / width²` for every group: [n_groups].

    Newton's method, kept between bounds that close in as bisection does; the right side grows and the left one falls.
    """
    n = len(means)
    most = np.bincount(groups, weights, minlength=n)
    low, high = means + width**2 * np.minimum(right - most, 0.0), means + width**2 * np.maximum(right, 0.0)
    shift = np.clip(means, low, high)
    for _ in range(60):
        p = expit(logits + shift[groups])
        excess = np.bincount(groups, weights * p, minlength=n) - right + (shift - means) / width**2
        low, high = np.where(excess <= 0, shift, low), np.where(excess >= 0, shift, high)
        step = shift - excess / (np.bincount(groups, weights * p * (1 - p), minlength=n) + 1 / width**2)
        new = np.where((step >= low) & (step <= high), step, (low + high) / 2)
        if np.abs(new - shift).max(initial=0.0) < 1e-9:
            return new
        shift = new
    return shift
