"""Several classifiers as one: log p(label) = Σ weight · log p(label) of each, the weights fitted out of fold."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.data.splits import grouped_folds, stratified_sample
from kdsl.fields.table import FieldTable
from kdsl.models.classifier import Classifier, Trainer
from kdsl.models.out_of_fold import out_of_fold_each
from kdsl.sample import original_rows

Floats = NDArray[np.float64]

WEIGHT_FOLDS = 5
PENALTY = 1e-3
"""On the squared distance from the first classifier alone, for samples too few to tell."""
LARGEST_WEIGHT = 10.0
"""Bound of a weight."""
SMALLEST = 1e-9
"""Least probability of a label, before rows are made to sum to 1."""


@dataclass(frozen=True)
class Ensemble:
    """Trained classifiers by name, the first being the one that others only advise."""

    parts: Mapping[str, Classifier]
    weights: tuple[float, ...]

    def probabilities(self, table: FieldTable) -> Floats:
        """[n_samples, n_labels]; see `Predicted.probabilities`."""
        from scipy.special import softmax

        if len(self.parts) == 1:
            return next(iter(self.parts.values())).predict(table).probabilities
        logs = [np.log(part.predict(table).probabilities) for part in self.parts.values()]
        scores = sum(weight * log for weight, log in zip(self.weights, logs, strict=True))
        result = np.maximum(softmax(scores, axis=1), SMALLEST)
        return result / result.sum(axis=1, keepdims=True)


MOST_FOR_WEIGHTS = 10_000
"""Samples that the weights are fitted on."""


def fit_ensemble(
    trainers: Mapping[str, Trainer], table: FieldTable, labels: NDArray[np.int64], n_labels: int, seed: int
) -> Ensemble:
    """Train all on the samples; the weights are fitted on predictions out of fold, copies being in one fold.

    With too few samples for two folds, the first classifier decides alone. Arguments and errors as in `Trainer.fit`.
    """
    parts = {name: trainer.fit(table, labels, n_labels) for name, trainer in trainers.items()}
    alone = (1.0, *(0.0 for _ in range(len(parts) - 1)))
    sources = original_rows([row.sample for row in table.rows])
    n_folds = min(WEIGHT_FOLDS, len(set(sources)))
    if len(parts) == 1 or n_folds < 2:
        return Ensemble(parts, alone)
    # A few numbers are fitted: of many samples some tell them as well, in a fraction of the time.
    rows = stratified_sample([row.sample.id for row in table.rows], labels, MOST_FOR_WEIGHTS, seed)
    if len(rows) < len(table):
        table, labels, sources = table.select(rows), labels[rows], [sources[row] for row in rows.tolist()]
    folds = grouped_folds(labels.tolist(), sources, n_folds, seed)
    logs = np.log(out_of_fold_each(list(trainers.values()), table, labels, n_labels, folds))
    return Ensemble(parts, _weights(logs, labels, np.array(alone)))


def _weights(logs: Floats, labels: NDArray[np.int64], alone: Floats) -> tuple[float, ...]:
    """The weights with the highest likelihood of `labels`, for `logs` [n_parts, n_samples, n_labels]."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax
    from threadpoolctl import threadpool_limits

    rows = np.arange(len(labels))

    def loss(weights: Floats) -> float:
        scores = log_softmax(np.tensordot(weights, logs, axes=1), axis=1)
        return float(-scores[rows, labels].mean() + PENALTY * ((weights - alone) ** 2).sum())

    with threadpool_limits(1):  # the sums are so small that threads only wait for each other
        found = minimize(loss, alone, bounds=[(0.0, LARGEST_WEIGHT)] * len(alone), method="L-BFGS-B").x
    return tuple(round(float(weight), 6) for weight in found)
