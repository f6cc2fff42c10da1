"""How many samples would be decided better if somebody looked at a rule; the queue begins with the most.

Everything is a function of plain arrays: which rules hit which samples, what the model says, how precise rules are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, Flags, count, indices

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

ACCEPTABLE = 0.8
"""Who looks at a rule accepts it where it is right at least so often."""
_PRIOR = 4.0
"""An estimated precision counts like so many hits that were looked at."""
_HEARD = 20.0
"""What the model expects on a rule's unlabelled hits counts like so many hits that were looked at, at most."""
_MOST_SHIFT, _STEPS = 12.0, 14
"""Of the log odds, and how often the interval that holds it is halved."""
_AT_ONCE = 1_000_000
"""Hits that are looked at together, which bounds memory."""


@dataclass(frozen=True)
class Precision:
    """What is known of the precision of rules: Beta distributions with parameters `a` and `b`, both [n_rules]."""

    a: Floats
    b: Floats

    @classmethod
    def of(cls, estimate: Floats, right: Counts, tried: Counts) -> "Precision":
        """From an estimate, 0 to 1, and counts of held-out hits, `right` of `tried`; all [n_rules]."""
        mean = np.clip(estimate, 0.01, 0.99)
        return cls(mean * _PRIOR + right, (1 - mean) * _PRIOR + tried - right)

    def heard(self, hits: Bitmap, labels: Counts, probabilities: Floats, truth: Counts) -> "Precision":
        """With what the model expects of the rules on unlabelled samples; arguments as in `value_of_looking`.

        A rule is as likely right there as the model says on average. Without this a rule that is wrong on many
        unlabelled samples, on which the model says other labels, would seem to have the most to tell.
        """
        rules, samples = indices(hits)
        asked = (truth[samples] < 0) & (labels[rules] >= 0)
        rules, samples = rules[asked], samples[asked]
        tried = np.bincount(rules, minlength=len(hits))
        right = np.bincount(rules, probabilities[samples, labels[rules]], minlength=len(hits))
        share = np.minimum(_HEARD, tried) / np.maximum(tried, 1)
        return Precision(self.a + share * right, self.b + share * (tried - right))

    @property
    def mean(self) -> Floats:
        """[n_rules]"""
        return self.a / (self.a + self.b)

    def acceptable(self) -> tuple[Floats, Floats]:
        """How likely a rule is right often enough to be accepted, and how often it then is right; both [n_rules]."""
        from scipy.special import betaincc

        chance = betaincc(self.a, self.b, ACCEPTABLE)
        above = self.mean * betaincc(self.a + 1, self.b, ACCEPTABLE)
        return chance, np.clip(above / np.maximum(chance, 1e-12), ACCEPTABLE, 1 - 1e-6)


def value_of_looking(
    hits: Bitmap, labels: Counts, precision: Precision, probabilities: Floats, truth: Counts, accepted: Flags
) -> Floats:
    """The chance that each rule is worth accepting, times what accepting it would gain: [n_rules], at least 0.

    The gain is a number of samples: by how much half the squared error of the probabilities (Brier 1950) falls, so
    that one decided wrong for sure before, and right for sure with the rule, is one sample. Hits that an accepted
    rule for the same label has are decided already, and gain nothing.

    A rule adds to the log odds of its label, on all its hits the same, what makes the model's probabilities there come
    to the rule's precision: nothing where the model says as much without it, most where the model is unsure, or sure
    of another label although the rule is right.

    Parameters
    ----------
    hits : the samples that rules hit, uint64 [n_rules, n_words], labelled and unlabelled ones alike
    labels : what each rule speaks for, [n_rules]; −1 for a label that the task does not have, which gains nothing
    precision : of each rule
    probabilities : [n_samples, n_labels] by a model that was trained without these labels; uniform where nothing is
        known of it
    truth : [n_samples] labels that are known, else −1: then rule and model together say what is to be expected
    accepted : [n_rules]
    """
    chance, precise = precision.acceptable()
    hits = np.where(labels[:, None] >= 0, hits, np.uint64(0))
    new = hits & ~_decided(hits, labels, accepted)
    squares = np.square(probabilities).sum(axis=1)
    gains = np.zeros(len(hits))
    for some in _portions(count(hits)):
        rules, samples = indices(hits[some])
        of_label = labels[some][rules]
        before = np.clip(probabilities[samples, of_label], 1e-6, 1 - 1e-6)
        odds = before / (1 - before)
        factor = np.exp(_shifts(rules, odds, precise[some]))[rules]
        after = odds * factor / (1 + odds * factor)
        # The other labels keep their proportions: `rest` is the sum of their squares where they share 1.
        rest = np.maximum(squares[samples] - before**2, 0.0) / (1 - before) ** 2
        sharper = (before**2 - after**2 + ((1 - before) ** 2 - (1 - after) ** 2) * rest) / 2
        rise = after - before
        known = truth[samples]
        of_truth = np.where(known >= 0, probabilities[samples, known], 0.0)
        expected = after * rise - (1 - after) * rest * rise
        told = np.where(known == of_label, rise, -of_truth * rise / (1 - before))
        gain = sharper + np.where(known < 0, expected, told)
        kept = _marked(new[some], rules, samples)
        gains[some] = np.bincount(rules[kept], gain[kept], minlength=len(gains[some]))
    return chance * np.maximum(gains, 0.0)


def _decided(hits: Bitmap, labels: Counts, accepted: Flags) -> Bitmap:
    """For each rule the samples that accepted rules for its label hit: [n_rules, n_words]."""
    by_label = np.zeros((labels.max(initial=-1) + 2, hits.shape[1]), dtype=np.uint64)  # −1 is the last row
    for rule in np.flatnonzero(accepted):
        by_label[labels[rule]] |= hits[rule]
    return by_label[labels]


def _shifts(rules: Counts, odds: Floats, precise: Floats) -> Floats:
    """What to add to log odds so that they come to the precision of each rule, at least 0: [n_rules].

    `rules` and `odds` [n_hits] are of single hits.
    """
    tried = np.maximum(np.bincount(rules, minlength=len(precise)), 1)
    low, high = np.zeros(len(precise)), np.full(len(precise), _MOST_SHIFT)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        shifted = odds * np.exp(middle)[rules]
        mean = np.bincount(rules, shifted / (1 + shifted), minlength=len(precise)) / tried
        low, high = np.where(mean < precise, middle, low), np.where(mean < precise, high, middle)
    return low


def _portions(sizes: Counts) -> Iterator[slice]:
    """Slices of rules with about `_AT_ONCE` hits each; those with none are left out at the ends."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes) and ends[-1] > (ends[first - 1] if first else 0):
        done = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, done + _AT_ONCE, side="right")), first + 1)
        yield slice(first, last)
        first = last


def _marked(bits: Bitmap, rules: Counts, samples: Counts) -> Flags:
    """Whether bit `samples[i]` of row `rules[i]` is set, for every i."""
    return (bits[rules, samples >> 6] >> (samples & 63).astype(np.uint64) & np.uint64(1)).astype(bool)
