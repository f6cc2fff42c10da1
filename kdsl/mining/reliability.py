"""Reliability: what a rule keeps out of sample, learned from rules mined on other folds.

A search that tries thousands of conditions on 15 positives finds perfect rules by chance, so training precision
promises too much. Rules mined on k-1 folds are scored on the fold left out, all labels pooled, and a logistic
regression maps what such a rule showed in training to the precision it kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEATURES = (
    "log odds of correct to false hits",
    "log hits",
    "conditions",
    "negations",
    "further terms",
    "meanings",
    "in the label's description",
    "makes sense",
    "expected on unlabelled samples",
)
"""How many samples of the label there are is none of these: of a label with few samples, all in the folds mined on
means none in the fold left out, where its rules then cannot be right."""
MIN_HITS = 20
"""Held-out hits under which there is nothing to learn from."""
MIN_ODDS = 1.5
"""Odds ratio to chance that the held-out hits of all rules together must reach."""


_LEAST, _MOST = 1e-3, 1 - 1e-3


def log_odds(probability: Floats | float) -> Floats:
    """Log odds, probabilities kept within [0.001, 0.999]."""
    bounded = np.clip(probability, _LEAST, _MOST)
    return np.log(bounded / (1 - bounded))


def rule_weights(reliability: Floats | float, base_rate: Floats | float) -> Floats:
    """What rules weigh in a merge: the log odds of their reliability minus those of their label's base rate, or 0.

    Both [n_rules], and the result: at least 0.
    """
    return np.maximum(log_odds(reliability) - log_odds(base_rate), 0.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a rule shows on the samples it was found on; counts are of samples, not weighted."""

    hits: int
    correct: int
    positives: int
    conditions: int
    negations: int
    further_terms: int
    """Terms beyond the first in any-lists: each was chosen after a look at the samples."""
    described: float
    """Whether a term stands in the label's name or description and in few others: 0 to 1."""
    sense: float | None = None
    """Probability, by the validator, that the rule makes sense for its label; None where none was asked."""
    meanings: int = 0
    """Conditions on meaning: their thresholds were chosen after a look at the samples."""
    expected: float | None = None
    """Mean probability of the label on the unlabelled samples that the rule hits, by a classifier that learned from
    the samples it was found on; None where it hits none, and where there are none. See `kdsl.mining.opinion`."""

    @property
    def best(self) -> float:
        """What may be hoped of the rule at best: its precision, half a correct hit added to both counts."""
        return (self.correct + 0.5) / (self.hits + 0.5)

    def features(self, unasked: float = 0.0, unheard: float = 0.0) -> tuple[float, ...]:
        """One number for each of `FEATURES`; `unasked` are the log odds of sense where no validator was asked, and
        `unheard` those of what is expected where no unlabelled sample is hit."""
        wrong = self.hits - self.correct
        return (
            float(np.log((self.correct + 0.5) / (wrong + 0.5))),
            float(np.log(self.hits + 0.5)),
            float(self.conditions - 1),
            float(self.negations),
            float(self.further_terms),
            float(self.meanings),
            self.described,
            unasked if self.sense is None else float(log_odds(self.sense)),
            unheard if self.expected is None else float(log_odds(self.expected)),
        )


@dataclass(frozen=True, slots=True)
class Reliability:
    """`P(correct | hit) = σ(bias + coefficients · features)`; `estimate` gives it for rules."""

    bias: float
    coefficients: tuple[float, ...]
    unasked: float = 0.0
    """Log odds of making sense that a rule is taken to have which no validator was asked about: the mean of others."""
    unheard: float = 0.0
    """Likewise of what is expected on unlabelled samples, for a rule that hits none."""
    chance: bool = False
    """Whether all rules together were hardly better than chance where they were held out: none is accepted then."""

    def estimate(self, shown: Sequence[Shown]) -> Floats:
        """Estimated precision out of sample: [n_rules] in (0, 1), never more than a rule showed (see `Shown.best`)."""
        if not shown:
            return np.zeros(0)
        features = np.array([rule.features(self.unasked, self.unheard) for rule in shown])
        estimates = 1 / (1 + np.exp(-(self.bias + features @ np.array(self.coefficients))))
        return np.minimum(estimates, [rule.best for rule in shown])


def fit_reliability(
    shown: Sequence[Shown], hits: NDArray[np.int64], correct: NDArray[np.int64], expected: float = 0.0
) -> Reliability:
    """Fit on rules with held-out counts `hits` and `correct`, [n_rules] each; `expected` correct hits are chance.

    A rule counts with the square root of its held-out hits: they fall on few samples together and are not
    independent. With under `MIN_HITS` hits in all, or where all rules together do not reach `MIN_ODDS` times the odds
    of chance (what tells them apart is noise then), every rule gets the pooled precision, pulled towards 0; in the
    second case none is accepted.
    """
    right, all_hits = int(correct.sum()), int(hits.sum())
    chance = all_hits >= MIN_HITS and right * (all_hits - expected) < MIN_ODDS * expected * (all_hits - right)
    if all_hits < MIN_HITS or right in (0, all_hits) or chance:
        pooled = (correct.sum() + 0.5) / (hits.sum() + 2.0)
        return Reliability(float(np.log(pooled / (1 - pooled))), (0.0,) * len(FEATURES), chance=chance)
    from sklearn.linear_model import LogisticRegression  # a second to import, which worker processes need not wait
    from threadpoolctl import threadpool_limits

    used = hits > 0
    unasked = _mean_log_odds([rule.sense for rule in shown])
    unheard = _mean_log_odds([rule.expected for rule in shown])
    features = np.array([rule.features(unasked, unheard) for rule in shown])[used]
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)  # a feature that never varies gets coefficient 0
    scaled = (features - mean) / spread
    weight = np.concatenate([correct[used], (hits - correct)[used]]) / np.sqrt(np.tile(hits[used], 2))
    model = LogisticRegression(C=1.0, max_iter=1000)
    with threadpool_limits(1):  # on busy cores threads that wait for each other cost more than they bring
        model.fit(np.tile(scaled, (2, 1)), np.repeat([1, 0], used.sum()), sample_weight=weight)
    coefficients = model.coef_[0] / spread
    bias = float(model.intercept_[0] - coefficients @ mean)
    return Reliability(bias, tuple(float(c) for c in coefficients), unasked, unheard)


def _mean_log_odds(probabilities: Sequence[float | None]) -> float:
    """Of those that are known; 0 where none is."""
    known = [float(log_odds(probability)) for probability in probabilities if probability is not None]
    return float(np.mean(known)) if known else 0.0
