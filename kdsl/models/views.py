"""How much each view of samples counts (characters, meaning, sight), fitted out of fold on the samples themselves.

A view that decides one project misleads another: the weights are those with which kernel ridge regression predicts
the labels best when it leaves out one sample at a time. These predictions have a closed form, so no model is fitted
twice (Rifkin and Lippert 2007, "Notes on regularized least squares").
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.features import CHARACTERS, Fit, Matrix, fit_features
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import several
from kdsl.sample import original_rows

Floats = NDArray[np.float64]

MOST_SAMPLES = 500
"""Samples that weights are fitted on, at most: the time grows with their cube, and a few numbers need no more."""
LEAST_SAMPLES = 10
"""With fewer samples all views count as they do by default."""
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Candidates for the penalty of the ridge regression."""
SHARPNESS = (4.0, 6.0, 9.0, 13.0)
"""Candidates for the factor that makes log probabilities of the regression's outputs."""
SPREAD = 1.0
"""Standard deviation of the prior of the logarithm of a squared weight, round the default: for small data."""
_RARE = 1e-3
"""Added to the shares of labels and of their absence: one that all samples have, or none, must not be certain."""
_ROUNDS, _STEP, _SMALLEST_STEP = 5, 1.4, 0.1
"""Of the search, in logarithms of squared weights."""


def fit_views(table: FieldTable, labels: NDArray[np.int64], fit: Fit = fit_features) -> dict[str, float]:
    """view → the factor of its default weight, or nothing where all keep theirs; samples stay as long.

    `labels` are as `kdsl.label_matrix` has them. Copies of samples take no part: they would tell what is left out.
    """
    sources = original_rows([row.sample for row in table.rows])
    rows = np.array([row for row, source in enumerate(sources) if row == source], dtype=np.int64)
    rows = _spread_over_labels(rows, labels)
    _, parts = fit(table.select(rows))
    kernels = view_kernels(parts)
    n_labels = len(np.unique(labels[rows], axis=0))
    free = [view for view in kernels if view != CHARACTERS]
    if len(rows) < LEAST_SAMPLES or n_labels < 2 or not free or len(kernels) < 2:
        return {}
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        targets = labels[rows] if several(labels) else np.unique(labels[rows], return_inverse=True)[1]
        return _search(kernels, targets, free)


def view_kernels(parts: "Sequence[tuple[str, Matrix]]") -> dict[str, Floats]:
    """view → the products of all pairs of samples: [n_samples, n_samples]"""
    kernels: dict[str, Floats] = {}
    for view, matrix in parts:
        product = matrix @ matrix.T
        dense = product if isinstance(product, np.ndarray) else product.toarray()
        kernels[view] = kernels[view] + dense if view in kernels else dense
    return {view: kernel for view, kernel in kernels.items() if kernel.any()}


def leaning(parts: "Sequence[tuple[str, Matrix]]") -> dict[str, float]:
    """How much of the samples' squared length each kind of view has: characters, meaning, last_agent, sight.

    `parts` as `Features.parts` gives them. The shares sum to 1; a kind that there is not is left out.
    """
    lengths: dict[str, float] = {}
    for view, matrix in parts:
        kind = "last_agent" if view.endswith(".last_agent") else view.split(".")[0]
        squares = matrix**2 if isinstance(matrix, np.ndarray) else matrix.multiply(matrix)
        lengths[kind] = lengths.get(kind, 0.0) + float(squares.sum())
    total = sum(lengths.values())
    return {kind: length / total for kind, length in lengths.items() if length > 0}


def left_out_loss(kernel: Floats, targets: NDArray[np.int64]) -> float:
    """Mean negative log likelihood of `targets` [n_samples] when each sample's label is predicted without it.

    Kernel ridge regression with an intercept on one-hot targets; penalty and sharpness are the best of the candidates.
    Targets [n_samples, n_labels] of samples with several labels are predicted one by one, and their losses add up.
    """
    n_samples = len(kernel)
    one_hot = targets.astype(np.float64) if several(targets) else np.eye(int(targets.max()) + 1)[targets]
    rates = one_hot.mean(axis=0)
    one_hot -= rates
    means = kernel.mean(axis=0)
    values, vectors = np.linalg.eigh(kernel - means[None] - means[:, None] + means.mean())
    values = np.maximum(values, 0.0)
    projected = vectors.T @ one_hot
    best = np.inf
    for penalty in PENALTIES:
        shrunken = values / (values + penalty)
        own = (vectors**2 @ shrunken + 1 / n_samples)[:, None]  # how much a sample's own target makes its prediction
        left_out = (vectors @ (shrunken[:, None] * projected) - own * one_hot) / (1 - own)
        for sharpness in SHARPNESS:
            scores = sharpness * left_out
            if several(targets):
                scores += np.log((rates + _RARE) / (1 - rates + _RARE))
                loss = np.logaddexp(0.0, np.where(targets == 1, -scores, scores)).sum(axis=1)
                best = min(best, float(loss.mean()))
                continue
            scores -= scores.max(axis=1, keepdims=True)
            likelihood = scores[np.arange(n_samples), targets] - np.log(np.exp(scores).sum(axis=1))
            best = min(best, -float(likelihood.mean()))
    return best


def _search(kernels: Mapping[str, Floats], targets: NDArray[np.int64], free: Sequence[str]) -> dict[str, float]:
    """Coordinate descent on likelihood and prior, from the default weights."""

    def loss(logs: Mapping[str, float]) -> float:
        kernel = sum(kernel * np.exp(logs.get(view, 0.0)) for view, kernel in kernels.items())
        prior = 0.5 * sum((value / SPREAD) ** 2 for value in logs.values())
        return len(targets) * left_out_loss(np.asarray(kernel), targets) + prior

    logs = dict.fromkeys(free, 0.0)
    least, step = loss(logs), _STEP
    for _ in range(_ROUNDS):
        moved = False
        for view in free:
            for change in (step, -step):
                tried = {**logs, view: logs[view] + change}
                found = loss(tried)
                if found < least:
                    least, logs, moved = found, tried, True
                    break
        if not moved:
            step /= 2
            if step < _SMALLEST_STEP:
                break
    squares = {view: float(np.exp(logs.get(view, 0.0))) for view in kernels}
    # Only how views compare was fitted: the classifier's penalty is for samples of the default length.
    traces = {view: float(np.trace(kernel)) for view, kernel in kernels.items()}
    total = sum(squares[view] * trace for view, trace in traces.items())
    return {view: float(np.sqrt(square * sum(traces.values()) / total)) for view, square in squares.items()}


def _spread_over_labels(rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `MOST_SAMPLES` of `rows`, every label with its share."""
    if len(rows) <= MOST_SAMPLES:
        return rows
    first = labels.argmax(axis=1) if several(labels) else labels
    by_label = rows[np.argsort(first[rows], kind="stable")]
    return np.sort(by_label[np.linspace(0, len(rows) - 1, MOST_SAMPLES).astype(np.int64)])
