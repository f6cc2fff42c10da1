"""The embedded large model: logistic regression on characters, meaning and sight (`kdsl.fields.features`)."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.distribution import install_command
from kdsl.errors import KdslError
from kdsl.fields.features import Features, Fit, Matrix, features_of_record, fit_features, joined
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import several
from kdsl.mining.proposer import label_texts
from kdsl.models.classifier import Predicted
from kdsl.models.views import fit_views, leaning, view_kernels
from kdsl.npz_file import floats, integers, open_npz, write_npz
from kdsl.sample import Task

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

LINEAR_FILE = "linear.npz"
VERSION = 2

TOLERANCE = 1e-4
"""Of the solver; probabilities are then right to about 0.005, and a tighter one takes three times as long."""
INVERSE_PENALTY = 100.0
"""On the sum of the samples' losses."""
FULL_PENALTY = 4000
"""Samples from which on the penalty grows with them: else more would undo it, and wrong labels be learned by heart.
Of 50,000 made dialogues with 3 % wrong labels the log loss falls from 0.41 to 0.30 by it, and the time too."""
MANY_SAMPLES = 4000
"""From here on the n x n kernel costs more than the sparse matrix."""
SMALLEST_SHARE = 0.01
"""Of a sample with several labels, those with less are not learned."""
LABEL_TEXT_WEIGHT = 0.5
"""What a label's name and description count, as one more sample of it."""
UNSEEN_LABEL = 1e-6
"""Probability, before rows are made to sum to 1, of a label that no training sample has."""


@dataclass(frozen=True)
class LinearTrainer:
    """Trains a `LinearClassifier`; the same samples give the same classifier."""

    seed: int = 0
    task: Task | None = None
    """Where it is given, the names and descriptions of its labels are learned from too, as samples of these labels."""
    factors: Mapping[str, float] | None = None
    """Of the views' weights; where it is None they are fitted to the samples."""
    features: Fit = fit_features

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> "LinearClassifier":
        """See `Trainer.fit`. One label alone, labels with one sample and samples without any text are all fine.

        With several labels a sample each is told from the rest by a regression of its own (binary relevance).
        """
        return self._fit(table, labels, n_labels, None)

    def fit_shares(self, table: FieldTable, shares: Floats, weights: Floats) -> "LinearClassifier":
        """Learn from samples of which each may have several labels: `shares` [n_samples, n_labels], rows sum to 1.

        `weights` [n_samples] is how much each sample counts, 1 being a sample of `fit`.
        """
        rows, columns = np.nonzero(shares >= SMALLEST_SHARE)
        found = shares[rows, columns]
        found = found / np.bincount(rows, found, minlength=len(table))[rows] * weights[rows]
        return self._fit(table, columns.astype(np.int64), shares.shape[1], (rows, found))

    def _fit(
        self,
        table: FieldTable,
        labels: NDArray[np.int64],
        n_labels: int,
        shares: tuple[NDArray[np.int64], Floats] | None,
    ) -> "LinearClassifier":
        """`shares`: the row of `table` that each of `labels` is about, and how much it weighs."""
        if len(table) == 0:
            raise KdslError("the linear classifier: no labelled samples to learn from; give at least one")
        from threadpoolctl import threadpool_limits

        # The products are so small that threads only wait for each other: on busy cores 20 s instead of half a second.
        with threadpool_limits(1):
            features, parts = self.features(table)
            factors = fit_views(*_one_label_each(table, labels, shares)) if self.factors is None else self.factors
            features = features.weighted(factors)
            parts = [(view, matrix * factors.get(view, 1.0)) for view, matrix in parts]
            shares_of_views = leaning(parts)
            if self.task is not None:
                texts = features.parts_of_texts(table, label_texts(self.task))
                parts = [
                    (view, _stacked(matrix, text)) for (view, matrix), (_, text) in zip(parts, texts, strict=True)
                ]
                if several(labels):
                    labels = np.concatenate([labels, np.eye(n_labels, dtype=np.int64)])
                else:
                    labels, shares = _with_label_texts(len(table), labels, shares, n_labels)
            if several(labels):
                share = np.ones(len(labels))
                share[len(table) :] = LABEL_TEXT_WEIGHT
                present = np.arange(n_labels)
                weights, intercepts = _one_against_rest(parts, labels, self.seed, share)
            else:
                present, targets = np.unique(labels, return_inverse=True)
                weights, intercepts = _regression(parts, targets, self.seed, shares)
            multi = several(labels)
        # Rounded as they are saved, so that a loaded classifier gives the very same probabilities.
        weights, intercepts = _round(weights), _round(intercepts)
        return LinearClassifier(
            features, weights, intercepts, present.astype(np.int64), n_labels, shares_of_views, multi
        )


@dataclass(frozen=True)
class LinearClassifier:
    """softmax(features @ weights + intercepts) over the labels seen in training, `UNSEEN_LABEL` for the others.

    With several labels a sample it is the logistic function of each label's score by itself.
    """

    features: Features
    weights: Floats  # [n_features, n_present]
    intercepts: Floats  # [n_present]
    present: NDArray[np.int64]  # [n_present] indices of the labels seen in training
    n_labels: int
    leaning: Mapping[str, float]
    """How much each kind of view counts: see `kdsl.models.views.leaning`."""
    multi: bool = False
    """Whether a sample may have several labels, so that rows of probabilities need not sum to 1."""

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`."""
        from scipy.special import expit, softmax

        result = np.full((len(table), self.n_labels), UNSEEN_LABEL)
        if len(table):
            scores = self.intercepts + self.features.scores(table, self.weights)
            if self.multi:
                return Predicted(np.clip(expit(scores), UNSEEN_LABEL, 1 - UNSEEN_LABEL))
            result[:, self.present] = np.maximum(softmax(scores, axis=1), UNSEEN_LABEL)
        return Predicted(result / result.sum(axis=1, keepdims=True))

    def encoded(self, table: FieldTable) -> list[str]:
        """See `Encoding.encoded`."""
        return self.features.encoded(table)

    def save(self, folder: Path) -> None:
        """Write `linear.npz` (no pickle: arrays, and JSON for texts); KdslError when `folder` cannot be written."""
        arrays: dict[str, NDArray[Any]] = {
            "weights": self.weights.astype(np.float32),
            "intercepts": self.intercepts.astype(np.float32),
            "present": self.present,
            **self.features.arrays(),
        }
        header = {
            "n_labels": self.n_labels,
            "multi": self.multi,
            "leaning": dict(self.leaning),
            **self.features.record(),
        }
        write_npz(folder / LINEAR_FILE, VERSION, header, arrays)

    @classmethod
    def load(cls, folder: Path) -> "LinearClassifier":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        with open_npz(folder / LINEAR_FILE, VERSION, "the linear classifier") as (header, arrays):
            features = features_of_record(header, arrays)
            weights, intercepts = _round(floats(arrays, "weights", 2)), _round(floats(arrays, "intercepts", 1))
            shares = {str(kind): float(share) for kind, share in header["leaning"].items()}
            present, n_labels = integers(arrays, "present", 1), int(header["n_labels"])
            multi = bool(header.get("multi", False))
            classifier = cls(features, weights, intercepts, present, n_labels, shares, multi)
            classifier._check()
        if any(block.lacks for block in features.dense):
            _log.warning(
                "%s: in training images were seen through the text detector of RapidOCR too, which is not installed "
                "as it was then; %s, or train again",
                folder / LINEAR_FILE, install_command("ocr"),
            )  # fmt: skip
        return classifier

    def _check(self) -> None:
        expected = self.features.size, len(self.present)
        if self.weights.shape != expected or self.intercepts.shape != expected[1:]:
            raise ValueError(f"weights of shape {self.weights.shape} instead of {expected}")
        if len(self.present) == 0 or self.present.min() < 0 or self.present.max() >= self.n_labels:
            raise ValueError(f"labels outside 0 to {self.n_labels - 1}")
        if len(np.unique(self.present)) < len(self.present):
            raise ValueError("a label that was seen twice")


def _one_label_each(
    table: FieldTable, labels: NDArray[np.int64], shares: tuple[NDArray[np.int64], Floats] | None
) -> tuple[FieldTable, NDArray[np.int64]]:
    """Samples with their label; of a sample with several the one that weighs most, and of samples those that count."""
    if shares is None:
        return table, labels
    rows, share = shares
    order = np.argsort(share, kind="stable")
    best = np.full(len(table), -1, dtype=np.int64)
    best[rows[order]] = labels[order]
    counts = np.bincount(rows, share, minlength=len(table))
    chosen = np.flatnonzero((best >= 0) & (counts > counts.max() - 1e-9))
    return table.select(chosen), best[chosen]


def _stacked(above: Matrix, below: Matrix) -> Matrix:
    from scipy.sparse import vstack

    return np.concatenate([above, below]) if isinstance(above, np.ndarray) else vstack([above, below], format="csr")


def _with_label_texts(
    n_samples: int, labels: NDArray[np.int64], shares: tuple[NDArray[np.int64], Floats] | None, n_labels: int
) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], Floats]]:
    """Labels and shares, see `LinearTrainer._fit`, with one more row for each label."""
    rows, share = (np.arange(n_samples), np.ones(n_samples)) if shares is None else shares
    names = np.arange(n_labels)
    more = np.full(n_labels, LABEL_TEXT_WEIGHT)
    return np.concatenate([labels, names]), (
        np.concatenate([rows, n_samples + names]),
        np.concatenate([share, more]),
    )


def _regression(
    parts: "Sequence[tuple[str, Matrix]]",
    targets: NDArray[np.int64],
    seed: int,
    shares: tuple[NDArray[np.int64], Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Weights [n_features, n_classes] and intercepts [n_classes] of the penalised maximum likelihood.

    Target k is that of row k of the parts, or, with `shares`, of the row and with the weight that they say.
    """
    rows, share = (np.arange(len(targets)), None) if shares is None else shares
    counts = np.bincount(targets, share)
    span = None if len(counts) == 1 else _span(parts)
    if span is None:
        return np.zeros((_n_features(parts), len(counts))), np.log(counts / counts.sum())
    matrix, unspanned = span
    weights, intercepts = _logistic(matrix if shares is None else matrix[rows], targets, seed, share)
    return unspanned(weights), intercepts


def _one_against_rest(
    parts: "Sequence[tuple[str, Matrix]]", labels: NDArray[np.int64], seed: int, share: Floats
) -> tuple[Floats, Floats]:
    """Weights [n_features, n_labels] and intercepts [n_labels] of a regression for each column of `labels`, in which
    row k counts `share` [n_rows]. A label that all rows have, or none, gets its share of the rows."""
    rates = (share @ labels + 0.5) / (share.sum() + 1.0)
    intercepts = np.log(rates / (1 - rates))
    span = _span(parts)
    if span is None:
        return np.zeros((_n_features(parts), labels.shape[1])), intercepts
    matrix, unspanned = span
    weights = np.zeros((matrix.shape[1], labels.shape[1]))
    for label in np.flatnonzero((labels.min(axis=0) == 0) & (labels.max(axis=0) == 1)).tolist():
        found, constants = _logistic(matrix, labels[:, label], seed, share)
        weights[:, label], intercepts[label] = found[:, 1], constants[1]
    return unspanned(weights), intercepts


def _n_features(parts: "Sequence[tuple[str, Matrix]]") -> int:
    return sum(matrix.shape[1] for _, matrix in parts)


def _span(parts: "Sequence[tuple[str, Matrix]]") -> tuple[Any, Callable[[Floats], Floats]] | None:
    """The rows as few numbers as possible, and what makes weights on features of weights on these; None without any.

    Representer theorem: the penalised optimum is a combination of samples, so it is sought in their span. There the
    samples are the rows of Z with Z Z' = X X', and weights on Z become weights on X by X' U diag(1/sqrt(s)).
    """
    n_rows = parts[0][1].shape[0]
    kernels = {} if n_rows > MANY_SAMPLES else view_kernels(parts)
    if n_rows <= MANY_SAMPLES and not kernels:
        return None
    if n_rows > MANY_SAMPLES or n_rows >= _n_features(parts):
        return joined(parts), lambda weights: weights
    values, vectors = np.linalg.eigh(sum(kernels.values()))
    kept = values > 1e-9 * values[-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]

    def unspanned(weights: Floats) -> Floats:
        combined = (vectors / roots) @ weights
        return np.concatenate([matrix.T @ combined for _, matrix in parts])

    return vectors * roots, unspanned


def _logistic(
    matrix: Any, targets: NDArray[np.int64], seed: int, share: Floats | None = None
) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression

    inverse_penalty = INVERSE_PENALTY * min(1.0, FULL_PENALTY / matrix.shape[0])
    model = LogisticRegression(C=inverse_penalty, tol=TOLERANCE, max_iter=1000, random_state=seed)
    model.fit(matrix, targets, share)
    weights, intercepts = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:  # two classes: scikit-learn gives only the score of the second, against 0
        weights, intercepts = np.hstack([np.zeros_like(weights), weights]), np.append(0.0, intercepts)
    return weights, intercepts


def _round(values: NDArray[Any]) -> Floats:
    return values.astype(np.float32).astype(np.float64)
