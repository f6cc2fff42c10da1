"""A classifier that nobody has labelled a sample for: which label's name and description a sample is most like.

Where there are few labelled samples it advises the classifier that learns from them (`kdsl.models.ensemble`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdsl.embeddings.sentence_vectors import SentenceVectors, require_same_encoder
from kdsl.fields.ngrams import LONGEST_NGRAM, NgramWeights
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.classifier import Predicted
from kdsl.models.explanation import Explanation, LikeDescription
from kdsl.npz_file import floats, open_npz, write_npz
from kdsl.sample import Task
from kdsl.text import normalise

Floats = NDArray[np.float64]

COLD_START_FILE = "cold_start.npz"
VERSION = 1

FIELD_WEIGHTS = {"last_user": 1.0, "last_agent": 0.5, "user": 0.3, "ocr": 1.0, "caption": 0.5}
"""What was asked last counts most. The agent's answer names the subject in other words; earlier turns are often about
something else."""
MEANING, CHARACTERS = 12.0, 6.0
"""What likeness adds to the log odds of a label, by cosines of sentence vectors and of n-grams. The right label leads
the others by 0.1 to 0.2 in the first, so that it gets some three to ten times their probability; n-grams are blind to
other words for the same thing, so that they count half."""
ALONE = 12.0
"""What n-grams count without sentence vectors."""
NEAREST_PIECES = 3
"""Of a page or dialogue so many lines or turns count: most lines of a page are about no label at all."""
MANY_PIECES = 10
"""From about so many pieces on their mean says what pieces have in common: it is taken with so many zeros."""
BALANCE = 0.5
"""How far to go towards labels that are equally frequent in unlabelled samples: some labels are near to everything,
others are rare in truth."""
SMALLEST = 1e-9
"""Least probability of a label, before rows are made to sum to 1."""


@dataclass(frozen=True)
class ColdStartClassifier:
    """softmax(Σ weight of field · (MEANING · nearness + CHARACTERS · n-grams in common) + offset of the label).

    Vectors of labels are centred: what all labels have in common ("the buyer asks about …") tells none from another.
    So are vectors of samples, by the mean of unlabelled ones, where there are any, and of their own pieces.
    """

    texts: tuple[str, ...]
    """Name and description of every label, normalised, joined by a newline."""
    directions: Floats
    """[n_labels, size]: in the space of sentence vectors, what is special about each label; size 0 without encoder."""
    means: Floats
    """[n_fields, size]: the mean vector of the pieces of each of `FIELD_WEIGHTS` in unlabelled samples."""
    pieces: Floats
    """[n_fields]: how many pieces these are means of."""
    offsets: Floats
    """[n_labels]; zeros without unlabelled samples."""
    encoder: str = ""
    """Its identity, see `Encoder.identity`; empty without one."""

    @property
    def n_labels(self) -> int:
        return len(self.texts)

    def predict(self, table: FieldTable) -> Predicted:
        """See `Classifier.predict`. Raises KdslError where the encoder is another one than at training."""
        from scipy.special import softmax

        result = np.maximum(softmax(self.scores(table) + self.offsets, axis=1), SMALLEST)
        return Predicted(result / result.sum(axis=1, keepdims=True))

    def scores(self, table: FieldTable) -> Floats:
        """Log odds of the labels but for a constant, before `offsets`: [n_samples, n_labels]."""
        scores = np.zeros((len(table), self.n_labels))
        vectors = self._vectors(table)
        rows = [row.cleaned for row in table.rows]
        words = _words(self.texts)
        described = words.transform(self.texts).toarray()
        characters = ALONE if vectors is None else CHARACTERS
        for number, (field, weight) in enumerate(FIELD_WEIGHTS.items()):
            texts = [_own_text(row, field) for row in rows]
            scores += weight * characters * (words.transform(texts).toarray() @ described.T)
            if vectors is not None:
                scores += weight * MEANING * self._nearness(texts, vectors, self.means[number], self.pieces[number])
        return scores

    def _nearness(self, texts: Sequence[str], vectors: SentenceVectors, mean: Floats, known: float) -> Floats:
        """Cosines of the label with the pieces of each text that are nearest to it, [n_texts, n_labels]."""
        pieces = [_pieces(text) for text in texts]
        found = vectors.of([piece for each in pieces for piece in each]).astype(np.float64)
        ends = np.cumsum([len(each) for each in pieces])
        nearness = np.zeros((len(texts), self.n_labels))
        for row, own in enumerate(np.split(found, ends[:-1])):
            own = own[own.any(axis=1)]  # without those that the encoder could not be asked about
            if len(own):
                common = (known * mean + own.sum(axis=0)) / (known + len(own) + MANY_PIECES)
                nearness[row] = np.sort((own - common) @ self.directions.T, axis=0)[-NEAREST_PIECES:].mean(axis=0)
        return nearness

    def _vectors(self, table: FieldTable) -> SentenceVectors | None:
        if not self.encoder or not len(table):
            return None
        require_same_encoder(self.encoder, table.sentence_vectors)
        return table.sentence_vectors

    def explain(self, row: SampleFields) -> Explanation:
        """See `Explainable.explain`."""
        scores = self.scores(FieldTable.of_rows([row]))[0]
        best = int((scores + self.offsets).argmax())
        likeness = float(scores[best]) / ((MEANING + CHARACTERS) * sum(FIELD_WEIGHTS.values()))
        return Explanation(described=LikeDescription(best, min(likeness, 1.0)) if likeness > 0 else None)

    def save(self, folder: Path) -> None:
        """Write `cold_start.npz` (arrays, and JSON for texts); KdslError when `folder` cannot be written."""
        header = {"texts": self.texts, "encoder": self.encoder}
        arrays = {
            "directions": self.directions, "means": self.means, "pieces": self.pieces, "offsets": self.offsets,
        }  # fmt: skip
        write_npz(folder / COLD_START_FILE, VERSION, header, arrays)

    @classmethod
    def load(cls, folder: Path, n_labels: int | None = None) -> "ColdStartClassifier":
        """Read what `save` wrote; KdslError when it is missing, damaged, of another version, or for other labels."""
        with open_npz(folder / COLD_START_FILE, VERSION, "the labels' names and descriptions") as (header, arrays):
            directions, means = floats(arrays, "directions", 2), floats(arrays, "means", 2)
            texts, encoder = tuple(header["texts"]), header["encoder"]
            if not all(isinstance(text, str) for text in (*texts, encoder)):
                raise ValueError("descriptions that are no texts")
            if n_labels not in (None, len(texts)):
                raise ValueError(f"{len(texts)} labels instead of {n_labels}")
            pieces, offsets = floats(arrays, "pieces", 1), floats(arrays, "offsets", 1)
            size, n_fields = directions.shape[1], len(FIELD_WEIGHTS)
            expected = (len(texts), size), (n_fields, size), (n_fields,), (len(texts),)
            if (directions.shape, means.shape, pieces.shape, offsets.shape) != expected:
                raise ValueError(f"vectors of shape {directions.shape} for {len(texts)} labels")
            if (pieces < 0).any():
                raise ValueError("a number of pieces below 0")
        return cls(texts, directions, means, pieces, offsets, encoder)


@dataclass(frozen=True)
class ColdStartTrainer:
    """Trains a `ColdStartClassifier` on labelled samples, of whose labels it makes no use."""

    task: Task

    def fit(self, table: FieldTable, labels: NDArray[np.int64], n_labels: int) -> ColdStartClassifier:
        """See `Trainer.fit`."""
        vectors = table.sentence_vectors
        return fit_cold_start(self.task, table, vectors if vectors is not None and vectors.available else None)


def fit_cold_start(task: Task, unlabelled: FieldTable, vectors: SentenceVectors | None) -> ColdStartClassifier:
    """The classifier of a task from what its file says. `unlabelled` are samples as they will come, or none.

    They tell what samples have in common, and which labels all of them look like.
    """
    names = [normalise(label.words) for label in task.labels]
    descriptions = [normalise(label.description) or name for label, name in zip(task.labels, names, strict=True)]
    texts = tuple(f"{name}\n{said}" for name, said in zip(names, descriptions, strict=True))
    size = 0 if vectors is None else vectors.size
    directions, means = np.zeros((len(texts), size)), np.zeros((len(FIELD_WEIGHTS), size))
    counts = np.zeros(len(FIELD_WEIGHTS))
    if vectors is not None:
        directions = (_centred(vectors.of(names)) + _centred(vectors.of(descriptions))) / 2
        for number, field in enumerate(FIELD_WEIGHTS):
            pieces = [piece for row in unlabelled.rows for piece in _pieces(_own_text(row.cleaned, field))]
            found = vectors.of(pieces)
            counts[number] = found.any(axis=1).sum()
            means[number] = found.sum(axis=0) / max(counts[number], 1)
    encoder = "" if vectors is None else vectors.identity
    classifier = ColdStartClassifier(texts, directions, means, counts, np.zeros(len(texts)), encoder)
    if not len(unlabelled):
        return classifier
    trust = len(unlabelled) / (len(unlabelled) + len(texts))  # a handful of samples says little about all
    return replace(classifier, offsets=trust * BALANCE * _balancing(classifier.scores(unlabelled)))


def _centred(vectors: NDArray[np.float32]) -> Floats:
    """Less their mean, of unit length; zeros stay zeros, as where there is one label alone. [n, size]"""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(lengths > SMALLEST, centred / np.maximum(lengths, SMALLEST), 0.0)


def _balancing(scores: Floats) -> Floats:
    """What has to be added to `scores` [n_samples, n_labels] for all labels to be equally likely on average.

    Iterative scaling (Darroch and Ratcliff 1972); for zero-shot classifiers: Zhou et al. 2024, "Batch Calibration".
    """
    from scipy.special import softmax

    offsets = np.zeros(scores.shape[1])
    for _ in range(100):
        means = softmax(scores + offsets, axis=1).mean(axis=0)
        offsets -= np.log(np.maximum(means, SMALLEST) * len(means))
    return offsets - offsets.mean()


def _words(texts: Sequence[str]) -> NgramWeights:
    """The n-grams of the labels' texts, of which those weigh most that few labels have, and those nothing that all
    have."""
    lengths = range(1, LONGEST_NGRAM + 1)
    found = [
        {line[at : at + n] for line in text.split("\n") for n in lengths for at in range(len(line) - n + 1)}
        for text in texts
    ]
    ngrams = sorted(set().union(*found))
    idf = np.array([np.log(len(found) / sum(ngram in each for each in found)) for ngram in ngrams])
    return NgramWeights(tuple(ngrams), idf)


def _own_text(row: SampleFields, field: str) -> str:
    """The text of a field; none where it is that of the last user turn again, as with a dialogue of one turn."""
    text = row.text(field).text
    return "" if field != "last_user" and text == row.text("last_user").text else text


def _pieces(text: str) -> list[str]:
    """Its lines: turns, or lines of a page, of which those of one character are noise."""
    lines = text.split("\n")
    return [line for line in lines if len(line) > 1] or [line for line in lines if line]
