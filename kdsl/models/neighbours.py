"""The nearest labelled samples as classifier: a vote weighted by similarity, smoothed by the labels' shares."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import KdslError
from kdsl.fields.features import Fit, fit_features
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.classifier import Predicted
from kdsl.models.explanation import MOST_NEAR, NearSample
from kdsl.npz_file import floats, integers, open_npz, write_npz
from kdsl.retrieval.sample_index import Nearest, SampleIndex
from kdsl.retrieval.wording import opening

Floats = NDArray[np.float64]

NEIGHBOURS_FILE = "neighbours.npz"
VERSION = 3

NUMBERS = (3, 5, 8, 12, 20, 30, 50, 100)
"""Candidates for how many neighbours vote."""
TEMPERATURES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
"""Candidates for the difference in similarity that makes a vote e times stronger."""
FAR = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Candidates for the similarity at which one neighbour counts as much as the labels' shares in training."""
PRIOR_COUNT = 0.5
"""Added to the samples of every label before they become shares, so that no label is impossible."""


@dataclass(frozen=True)
class Vote:
    """p(label) ∝ Σ over the `number` nearest with that label of e^(similarity / temperature)
    + share of the label · e^(far / temperature)."""

    number: int
    temperature: float
    far: float

    def probabilities(self, found: Nearest, labels: NDArray[np.int64], shares: Floats) -> Floats:
        """[n_asked, n_labels], for `labels` [n_known] of the samples in the index; `shares` [n_labels], or a row
        for each asked one."""
        rows, similarities = found.rows[:, : self.number], found.similarities[:, : self.number]
        weights = np.where(rows >= 0, np.exp((similarities - 1) / self.temperature), 0.0)
        cells = np.arange(len(rows))[:, None] * shares.shape[-1] + labels[rows]
        votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(rows) * shares.shape[-1])
        result = votes.reshape(len(rows), -1) + np.exp((self.far - 1) / self.temperature) * shares
        return result / result.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class VoteOnEachOther:
    """How labelled samples vote on each other: none has a vote on itself, nor on a copy of it."""

    found: Nearest
    """The nearest to each of the samples; see `SampleIndex.nearest_to_each_other`."""

    def likeliest(self, labels: NDArray[np.int64], n_labels: int) -> Vote:
        """The vote that gives `labels` [n_samples] the highest likelihood, each by the other samples."""
        truth, shares = (np.arange(len(labels)), labels), _shares_of_others(labels, n_labels)
        votes = [Vote(*settings) for settings in product(NUMBERS, TEMPERATURES, FAR)]
        losses = [-float(np.log(vote.probabilities(self.found, labels, shares)[truth]).mean()) for vote in votes]
        return votes[int(np.argmin(losses))]

    def probabilities(self, vote: Vote, labels: NDArray[np.int64], n_labels: int) -> Floats:
        """[n_samples, n_labels]; row i comes from the `labels` [n_samples] of all samples but i."""
        return vote.probabilities(self.found, labels, _shares_of_others(labels, n_labels))


def _shares_of_others(labels: NDArray[np.int64], n_labels: int) -> Floats:
    """The labels' shares in all samples but one: [n_samples, n_labels]"""
    left_out = np.bincount(labels, minlength=n_labels) + PRIOR_COUNT - np.eye(n_labels)[labels]
    return left_out / left_out.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class NeighboursTrainer:
    """Trains a `NeighboursClassifier`; the same samples give the same classifier."""

    features: Fit = fit_features

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> "NeighboursClassifier":
        """See `Trainer.fit`. The vote is the one with the highest leave-one-out likelihood of the labels."""
        if len(table) == 0:
            raise KdslError("the nearest neighbours: no labelled samples to look among; give at least one")
        index = SampleIndex.fit(table, fit=self.features)
        vote = VoteOnEachOther(index.nearest_to_each_other(max(NUMBERS))).likeliest(labels, n_labels)
        shares = np.bincount(labels, minlength=n_labels) + PRIOR_COUNT
        return NeighboursClassifier(index, labels, shares / shares.sum(), vote, tuple(map(opening, table.rows)))


@dataclass(frozen=True)
class NeighboursClassifier:
    """`Vote` among the labelled samples of an index; neither the asked sample nor a copy of it has a vote."""

    index: SampleIndex
    labels: NDArray[np.int64]  # [n_samples]
    shares: Floats  # [n_labels]
    vote: Vote
    openings: tuple[str, ...]
    """[n_samples]: what a person knows each by."""

    @property
    def n_labels(self) -> int:
        return len(self.shares)

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`."""
        found = self.index.nearest(table, self.vote.number)
        return Predicted(self.vote.probabilities(found, self.labels, self.shares))

    def near(self, row: SampleFields) -> tuple[NearSample, ...]:
        """The nearest of those that vote, of a sample and its changed copies the nearest one."""
        found = self.index.nearest(FieldTable.of_rows([row]), self.vote.number)
        nearest: dict[int, NearSample] = {}
        for place, similarity in zip(found.rows[0], found.similarities[0], strict=True):
            if place >= 0:
                identity, label = self.index.contents[place].id, int(self.labels[place])
                near = NearSample(identity, label, float(similarity), self.openings[place])
                nearest.setdefault(self.index.originals[place], near)
        return tuple(nearest.values())[:MOST_NEAR]

    def save(self, folder: Path) -> None:
        """Write `neighbours.npz` (arrays, and JSON for texts: no pickle); KdslError when it cannot be written."""
        vote = [self.vote.number, self.vote.temperature, self.vote.far]
        arrays = {"labels": self.labels, "shares": self.shares, **self.index.arrays()}
        header = {"vote": vote, "openings": self.openings, **self.index.record()}
        write_npz(folder / NEIGHBOURS_FILE, VERSION, header, arrays)

    @classmethod
    def load(cls, folder: Path) -> "NeighboursClassifier":
        """Read what `save` wrote; KdslError when it is missing, damaged or of another version."""
        with open_npz(folder / NEIGHBOURS_FILE, VERSION, "the nearest neighbours") as (header, arrays):
            index = SampleIndex.of_record(header, arrays)
            number, temperature, far = header["vote"]
            vote = Vote(int(number), float(temperature), float(far))
            labels, shares = integers(arrays, "labels", 1), floats(arrays, "shares", 1)
            classifier = cls(index, labels, shares, vote, tuple(header["openings"]))
            classifier._check()
        return classifier

    def _check(self) -> None:
        if self.labels.shape != (len(self.index.contents),) or self.shares.ndim != 1:
            raise ValueError(f"{self.labels.shape} labels for {len(self.index.contents)} samples")
        if len(self.openings) != len(self.labels) or not all(isinstance(text, str) for text in self.openings):
            raise ValueError(f"{len(self.openings)} beginnings of {len(self.labels)} samples")
        if len(self.labels) == 0 or self.labels.min() < 0 or self.labels.max() >= len(self.shares):
            raise ValueError(f"labels outside 0 to {len(self.shares) - 1}")
        if not (self.shares > 0).all():
            raise ValueError("shares of labels that are not above 0")
        if self.index.vectors.shape[1] and abs(self.index.vectors).max() > 1.01:
            raise ValueError("vectors that are longer than 1")
        if self.vote.number < 1 or not 0 < self.vote.temperature < np.inf or not 0 <= self.vote.far <= 1:
            raise ValueError(f"{self.vote} is no vote")
