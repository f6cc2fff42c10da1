"""Dense features of samples: sentence vectors of text fields, and views of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.embeddings.sentence_vectors import require_same_encoder
from kdsl.fields.page_network import NETWORK_SIZE, page_network
from kdsl.fields.table import FieldTable
from kdsl.fields.visual import VIEWS
from kdsl.npz_file import floats

Floats = NDArray[np.float64]

MEANING_WEIGHTS = {"last_user": 1.0, "user": 0.7, "last_agent": 0.5, "ocr": 0.3, "caption": 0.3}
"""text field → the length of its sentence vector, before weights are fitted (`kdsl.models.views`)."""
NETWORK = "network"
"""The view of pictures that a pretrained network gives, where it is installed."""
SIGHTS = {**{view: int(np.prod(shape)) for view, shape in VIEWS.items()}, NETWORK: NETWORK_SIZE}
"""view of a picture → its numbers"""
SIGHT_WEIGHT = 0.14
"""The mean length of every view of a picture, before weights are fitted."""


@dataclass(frozen=True)
class DenseBlock:
    """One kind of dense vectors: `weight · (vector - mean) / scale`, zeros where a sample has none."""

    view: str
    """`meaning.` and a text field, or `sight.` and one of `SIGHTS`."""
    weight: float
    mean: Floats
    """[n_dimensions]"""
    scale: float
    """Root of the mean squared length in training, less the mean; 1 for sentence vectors."""
    maker: str | None = None
    """Identity of the encoder or network whose vectors they are; None where none is needed."""

    @property
    def size(self) -> int:
        return len(self.mean)

    @property
    def is_sight(self) -> bool:
        """Whether it is a view of pictures, not the meaning of a text."""
        return self.view.startswith("sight.")

    def matrix(self, table: FieldTable) -> Floats:
        """[n_samples, size]. Raises KdslError where the samples come with another encoder, or with none."""
        name = self.view.split(".", 1)[1]
        if len(table) == 0 or self.lacks:
            return np.zeros((len(table), self.size))
        if self.is_sight:
            return self._weighted(table.pictures(name))
        require_same_encoder(self.maker or "", table.sentence_vectors)
        return self._weighted(table.vectors(name))

    def of_texts(self, table: FieldTable, texts: Sequence[str]) -> Floats:
        """[n_texts, size]: texts as if the block's field held them; zeros where it holds pictures.

        `table` knows the encoder; it has at least one sample.
        """
        vectors = table.sentence_vectors
        if self.is_sight or vectors is None:
            return np.zeros((len(texts), self.size))
        return self._weighted(vectors.of(texts))

    @property
    def lacks(self) -> bool:
        """Whether it was fitted with a network that is not installed now: then every picture counts as the mean."""
        if self.view != f"sight.{NETWORK}":
            return False
        network = page_network()
        return network is None or network.identity != self.maker

    def scaled(self, factor: float) -> "DenseBlock":
        """The same with another weight."""
        return replace(self, weight=self.weight * factor)

    def record(self) -> dict[str, Any]:
        """Everything but the mean, for JSON."""
        return {"view": self.view, "weight": self.weight, "scale": self.scale, "maker": self.maker}

    def _weighted(self, vectors: NDArray[np.float32]) -> Floats:
        # A text without a vector is zeros, a sample without a picture NaN: a black picture is zeros rightly.
        there = np.isfinite(vectors) if self.is_sight else vectors.any(axis=1, keepdims=True)
        return np.where(there, (vectors - self.mean) * (self.weight / self.scale), 0.0)


def dense_of_record(record: dict[str, Any], arrays: Any, name: str) -> DenseBlock:
    """What `DenseBlock.record` gave, with its mean in the array of that name; ValueError or KeyError otherwise."""
    view, maker = record["view"], record["maker"]
    known = {f"meaning.{field}" for field in MEANING_WEIGHTS} | {f"sight.{each}" for each in SIGHTS}
    if view not in known:
        raise ValueError(f"unknown view {view!r}")
    weight, scale = float(record["weight"]), float(record["scale"])
    if not (0 < weight < np.inf and 0 < scale < np.inf):
        raise ValueError(f"the weight {weight!r} over {scale!r}")
    if isinstance(maker, str) != (view.startswith("meaning.") or view == f"sight.{NETWORK}"):
        raise ValueError(f"{view} was made by {maker!r}")
    mean = floats(arrays, name, 1)
    if view.startswith("sight.") and len(mean) != SIGHTS[view.removeprefix("sight.")]:
        raise ValueError(f"{len(mean)} numbers of {view}")
    return DenseBlock(view, weight, mean, scale, maker)


def fit_dense(table: FieldTable) -> list[tuple[DenseBlock, Floats]]:
    """The dense blocks that training samples call for, each with its matrix [n_samples, size]."""
    return [*_meanings(table), *_sights(table)]


def _meanings(table: FieldTable) -> list[tuple[DenseBlock, Floats]]:
    vectors = table.sentence_vectors
    if vectors is None or not vectors.available:
        return []
    blocks = [
        DenseBlock(f"meaning.{field}", MEANING_WEIGHTS[field], np.zeros(vectors.size), 1.0, vectors.identity)
        for field, _ in table.distinct_texts(MEANING_WEIGHTS)
    ]
    return [(block, block.matrix(table)) for block in blocks]


def _sights(table: FieldTable) -> list[tuple[DenseBlock, Floats]]:
    if not any(row.sidecars.pictures is not None and row.shown.images for row in table.rows):
        return []
    found = []
    network = page_network()
    for view in SIGHTS:
        vectors = table.pictures(view)
        seen = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
        if not len(seen):
            continue
        # Rounded as it is saved, so that a loaded classifier gives the very same probabilities.
        mean = seen.mean(axis=0).astype(np.float32).astype(np.float64)
        scale = float(np.sqrt(((seen - mean) ** 2).sum(axis=1).mean()))
        if scale > 1e-6:  # pictures that all look alike tell nothing
            maker = network.identity if network is not None and view == NETWORK else None
            block = DenseBlock(f"sight.{view}", SIGHT_WEIGHT, mean, scale, maker)
            found.append((block, block.matrix(table)))
    return found
