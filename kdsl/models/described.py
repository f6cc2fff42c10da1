"""The labels' own names and descriptions as classifier: which of them a sample's texts are most like."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.fields.features import Features, Fit, features_of_record, fit_features
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.classifier import Predicted
from kdsl.models.explanation import LikeDescription
from kdsl.npz_file import floats, open_npz, write_npz
from kdsl.sample import Task
from kdsl.text import normalise_lines

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]

DESCRIBED_FILE = "described.npz"
VERSION = 1

PENALTY = 1e-4
"""On the mean square of the weights, for the weights of fields that never vary."""
PRIOR_COUNT = 0.5
"""Added to the samples of every label, so that no label is impossible."""
SMALLEST = 1e-9
"""Least probability of a label, before rows are made to sum to 1."""


@dataclass(frozen=True)
class DescribedTrainer:
    """Trains a `DescribedClassifier` for one task; the same samples give the same classifier."""

    task: Task
    features: Fit = fit_features

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> "DescribedClassifier":
        """See `Trainer.fit`. A label without a description is known by its name alone."""
        if len(table) == 0:
            raise KdslError("the labels' descriptions: no labelled samples to weigh them by; give at least one")
        features, _ = self.features(table)
        texts = tuple(normalise_lines([label.name, label.description])[0] for label in self.task.labels)
        shares = np.log(np.bincount(labels, minlength=n_labels) + PRIOR_COUNT)
        classifier = DescribedClassifier(features, texts, shares, np.zeros(1 + 2 * len(features.blocks)))
        weights = _weights(classifier.evidence(table), labels)
        return DescribedClassifier(features, texts, shares, weights)


@dataclass(frozen=True)
class DescribedClassifier:
    """softmax(Σ weight · likeness to the label's text + weight · log share of the label in training).

    A field is like a label's text in two ways: by the cosine of their TF-IDF vectors, and by how much of the text's
    vector (its squared length) lies in n-grams that the field has: long pages may hold a short description as a whole.
    """

    features: Features
    texts: tuple[str, ...]
    """Name and description of every label, normalised, a line each."""
    shares: Floats
    """[n_labels], logarithms."""
    weights: Floats
    """[1 + 2 · n_fields]: of the shares; then of cosine and coverage, field by field. None is below 0."""

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`."""
        from scipy.special import softmax

        if len(table) == 0:
            return Predicted(np.zeros((0, len(self.texts))))
        result = np.maximum(softmax(self.evidence(table) @ self.weights, axis=1), SMALLEST)
        return Predicted(result / result.sum(axis=1, keepdims=True))

    def evidence(self, table: FieldTable) -> Floats:
        """[n_samples, n_labels, 1 + 2 · n_fields]: what `weights` are weights of."""
        evidence = [np.tile(self.shares, (len(table), 1))]
        for block in self.features.blocks:
            described: csr_matrix = block.vectorizer.transform(self.texts)
            found: csr_matrix = block.vectorizer.transform(table.texts(block.field))
            evidence.append((found @ described.T).toarray())
            evidence.append((found.sign() @ described.power(2).T).toarray())
        return np.stack(evidence, axis=-1)

    @property
    def n_labels(self) -> int:
        return len(self.texts)

    def nearest(self, row: SampleFields) -> LikeDescription | None:
        """The label that the sample is most like, whatever the labels' shares; None where that speaks for no label.

        Likeness is the mean of cosines and coverages, weighted as they count: 0 to 1.
        """
        weights = self.weights[1:]
        likeness = self.evidence(FieldTable.of_rows([row]))[0, :, 1:] @ weights / max(weights.sum(), SMALLEST)
        best = int(likeness.argmax())
        return LikeDescription(best, float(likeness[best])) if likeness[best] > 0 else None

    def save(self, folder: Path) -> None:
        """Write `described.npz` (no pickle: arrays, and JSON for texts); KdslError when `folder` cannot be written."""
        arrays = {"shares": self.shares, "weights": self.weights, **self.features.arrays()}
        write_npz(folder / DESCRIBED_FILE, VERSION, {"texts": self.texts, **self.features.record()}, arrays)

    @classmethod
    def load(cls, folder: Path) -> "DescribedClassifier":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        with open_npz(folder / DESCRIBED_FILE, VERSION, "the labels' descriptions") as (header, arrays):
            features = features_of_record(header, arrays)
            shares, weights = floats(arrays, "shares", 1), floats(arrays, "weights", 1)
            classifier = cls(features, tuple(header["texts"]), shares, weights)
            classifier._check()
        return classifier

    def _check(self) -> None:
        expected = 1 + 2 * len(self.features.blocks)
        if self.weights.shape != (expected,) or self.shares.shape != (len(self.texts),):
            raise ValueError(f"{self.weights.shape} weights for {expected} kinds of evidence")
        if not all(isinstance(text, str) for text in self.texts):
            raise ValueError("descriptions that are no texts")


def _weights(evidence: Floats, labels: NDArray[np.int64]) -> Floats:
    """The weights with the highest likelihood of `labels` [n_samples], less a small penalty."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax
    from threadpoolctl import threadpool_limits

    rows = np.arange(len(labels))
    true = evidence[rows, labels].mean(axis=0)
    flat = evidence.reshape(-1, evidence.shape[-1])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = log_softmax((flat @ weights).reshape(evidence.shape[:2]), axis=1)
        expected = np.exp(scores).ravel() @ flat / len(labels)
        penalty = PENALTY * weights / len(weights)
        return float(-scores[rows, labels].mean() + (penalty * weights).sum()), expected - true + 2 * penalty

    start = np.ones(evidence.shape[-1])
    bounds = [(0.0, 100.0)] * len(start)
    with threadpool_limits(1):  # the sums are so small that threads only wait for each other
        return minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
