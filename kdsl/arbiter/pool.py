"""The log-linear pool: how much to trust the classifier and how much the rules, fitted on out-of-fold predictions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.float64]

_SMALLEST = 1e-6
_PULL = 1e-3
"""Strength of the pull of log a and log b towards 0, per sample: labels that are all foretold must not give extreme
values."""
_PRIOR = 0.5
"""Strength of the pull of log a towards 0 over all samples, that of a normal prior of variance 1: a handful of samples
must not say how much too sure the model is, from some dozens on it hardly matters."""


@dataclass(frozen=True, slots=True)
class Pool:
    """`log p(label) = a · log p_model(label) + b · evidence(label)`, normalised. `a` is an inverse temperature."""

    a: float
    b: float

    def probabilities(self, model: Floats, evidence: Floats) -> Floats:
        """Merged probabilities from the model's and the rules' evidence, both [n_samples, n_labels]."""
        return np.exp(self.log_probabilities(model, evidence))

    def log_probabilities(self, model: Floats, evidence: Floats) -> Floats:
        return log_softmax(self.a * np.log(np.maximum(model, _SMALLEST)) + self.b * evidence, axis=1)


AS_IT_IS = Pool(1.0, 0.0)
"""The model's own probabilities."""


def fit_pool(model: Floats, evidence: Floats, truth: NDArray[np.int64]) -> Pool:
    """Maximum likelihood of `a` and `b` > 0 on out-of-fold predictions; `truth` [n_samples] are label indices."""
    return _fit(lambda a, b: Pool(a, b), (0.0, -1.0), model, evidence, truth)


def fit_evidence(model: Floats, evidence: Floats, truth: NDArray[np.int64]) -> Pool:
    """Maximum likelihood of `b` > 0 beside the model's own probabilities, a = 1."""
    return _fit(lambda b: Pool(1.0, b), (-1.0,), model, evidence, truth)


def fit_temperature(model: Floats, evidence: Floats, truth: NDArray[np.int64]) -> Pool:
    """The model alone: maximum likelihood of `a` with b = 0 (temperature scaling, Guo et al. 2017)."""
    return _fit(lambda a: Pool(a, 0.0), (0.0,), model, evidence, truth)


def log_loss(pool: Pool, model: Floats, evidence: Floats, truth: NDArray[np.int64]) -> Floats:
    """Minus log probability of the true label, for every sample."""
    return -pool.log_probabilities(model, evidence)[np.arange(len(truth)), truth]


def _fit(
    make: Callable[..., Pool], start: tuple[float, ...], model: Floats, evidence: Floats, truth: NDArray[np.int64]
) -> Pool:
    """`start` holds the logarithms of what `make` takes."""
    from scipy.optimize import minimize

    def loss(logs: Floats) -> float:
        pool = make(*np.exp(logs))
        pull = _PULL * (logs**2).sum() + _PRIOR / len(truth) * np.log(pool.a) ** 2
        return float(log_loss(pool, model, evidence, truth).mean() + pull)

    best = minimize(loss, np.array(start), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6}).x
    return make(*(float(value) for value in np.exp(best)))
