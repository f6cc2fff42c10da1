"""The log-linear pool: how much to trust the classifier and how much the rules, fitted on out-of-fold predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from kdsl.arbiter.evidence import RuleEvidence

Floats = NDArray[np.float64]

_SMALLEST = 1e-6
_PULL = 1e-3
"""Strength of the pull of log a towards 0, per sample: labels that are all foretold must not give extreme values."""
_WIDTH_A = 1.0
"""Standard deviation of the normal prior on log a: a handful of samples must not say how much too sure the model is,
from some dozens on it hardly matters."""
PEOPLE, MINED = 1.0, 0.0
"""Means of the normal priors on `b_people` and `b_mined`. What people vouch for counts in full until data say
otherwise; what nobody has looked at counts for nothing until data speak for it."""
WIDTH_B = 0.5
"""Standard deviation of both priors, our choice: values from 0 to 1 stay likely for either."""
MOST_PEOPLE = 1.0
"""What accepted rules shift was measured on samples that their authors may have seen, where they do better than
elsewhere: on the same samples no `b_people` above 1 can be told from that."""


@dataclass(frozen=True, slots=True)
class Pool:
    """`log p(label) = a · log p_model(label) + b_people · E_people(label) + b_mined · E_mined(label)`, normalised.

    `a` is an inverse temperature.
    """

    a: float
    b_people: float
    b_mined: float

    def probabilities(self, model: Floats, evidence: RuleEvidence) -> Floats:
        """Merged probabilities from the model's [n_samples, n_labels] and the rules' evidence."""
        return np.exp(self.log_probabilities(model, evidence))

    def log_probabilities(self, model: Floats, evidence: RuleEvidence) -> Floats:
        own = self.a * np.log(np.maximum(model, _SMALLEST))
        return log_softmax(own + self.b_people * evidence.people + self.b_mined * evidence.mined, axis=1)


AS_IT_IS = Pool(1.0, 0.0, 0.0)
"""The model's own probabilities."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is fitted at once."""

    temperature: bool = False
    """Of the model."""
    people: bool = False
    mined: bool = False


def fit_pool(model: Floats, evidence: RuleEvidence, truth: NDArray[np.int64], steps: Sequence[Step]) -> Pool:
    """The likeliest pool (MAP) on out-of-fold predictions, one step after the other; `truth` [n_samples] are labels.

    What no step fits is as the model has it: `a` = 1, and `b` = 0 for the part of the rules that is not wanted. With a
    temperature alone this is temperature scaling (Guo et al. 2017). `b_people` is from 0 to `MOST_PEOPLE`, beside an
    `a` that was fitted before: from there it is measured what accepted rules shift. `b_mined` is at least 0. The
    priors count as much for any number of samples, so that few samples leave the values near their means: 1 for
    temperatures and `b_people`, 0 for `b_mined`.
    """
    pool = AS_IT_IS
    for step in steps:
        pool = _fitted(model, evidence, truth, pool, step)
    return pool


def _fitted(model: Floats, evidence: RuleEvidence, truth: NDArray[np.int64], before: Pool, step: Step) -> Pool:
    """One step of `fit_pool`."""
    from scipy.optimize import minimize

    free = np.array([step.temperature, step.people, step.mined])
    fixed = np.zeros(3)  # log of the temperature, b_people, b_mined
    start = np.array([0.0, PEOPLE, MINED])
    known = before.a * np.log(np.maximum(model, _SMALLEST))
    said = before.b_people * evidence.people + before.b_mined * evidence.mined
    rows = np.arange(len(truth))

    def loss(values: Floats) -> tuple[float, Floats]:
        """Minus log posterior per sample, and its gradient."""
        log_a, b_people, b_mined = (every := _filled(fixed, free, values))
        parts = np.exp(log_a) * known, evidence.people, evidence.mined
        log_p = log_softmax(parts[0] + b_people * parts[1] + b_mined * parts[2] + said, axis=1)
        p = np.exp(log_p)
        slopes = np.array([((p * part).sum(axis=1) - part[rows, truth]).mean() for part in parts])
        away = every - start
        pull = np.array([2 * _PULL + 1 / (_WIDTH_A**2 * len(truth)), *(1 / (WIDTH_B**2 * len(truth)),) * 2]) * free
        return float(-log_p[rows, truth].mean() + (pull * away**2).sum() / 2), (slopes + pull * away)[free]

    if not free.any():
        return before
    bounds = np.array([(-5.0, 5.0), (0.0, MOST_PEOPLE), (0.0, np.inf)])[free]
    found = minimize(loss, start[free], jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12}).x
    log_a, b_people, b_mined = _filled(fixed, free, found).tolist()
    return Pool(float(np.exp(log_a)) * before.a, before.b_people + b_people, before.b_mined + b_mined)


def _filled(fixed: Floats, free: NDArray[np.bool_], values: Floats) -> Floats:
    every = fixed.copy()
    every[free] = values
    return every
