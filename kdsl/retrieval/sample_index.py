"""The nearest of some samples, by cosine; never the asked sample itself, nor a copy of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.features import Features, features_of_record, fit_features
from kdsl.fields.table import FieldTable
from kdsl.retrieval.content import Content

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_BLOCK = 1024
"""Samples that are compared with the whole index at once."""


@dataclass(frozen=True)
class Nearest:
    """The nearest samples of the index for each asked one, nearest first; -1 and 0 where there are fewer."""

    rows: NDArray[np.int64]
    """[n_asked, k] rows of the index."""
    similarities: NDArray[np.float64]
    """[n_asked, k] cosines, all above 0 for a row that is not -1."""


def nearest(similarities: NDArray[np.float64], asked: Sequence[Content], known: Sequence[Content], k: int) -> Nearest:
    """The `k` largest of `similarities` [n_asked, n_known] above 0 of each row, copies of what is asked left out."""
    k = min(k, len(known))
    rows = np.full((len(asked), k), -1, dtype=np.int64)
    values = np.zeros((len(asked), k))
    for number, content in enumerate(asked):
        order = np.argsort(-similarities[number], kind="stable")
        found = 0
        for row in order:
            if found == k or similarities[number, row] <= 0:
                break
            if not content.same(known[row]):
                rows[number, found], values[number, found] = row, similarities[number, row]
                found += 1
    return Nearest(rows, values)


@dataclass(frozen=True)
class SampleIndex:
    """Samples as vectors of unit length: TF-IDF of their texts, or a model's."""

    features: Features | None
    """None where a model gives the vectors."""
    vectors: "csr_matrix | NDArray[np.float64]"
    """[n_samples, n_dimensions]"""
    contents: tuple[Content, ...]

    @classmethod
    def fit(
        cls,
        table: FieldTable,
        hashes: Sequence[tuple[int, ...]] | None = None,
        vectors: NDArray[np.float64] | None = None,
    ) -> "SampleIndex":
        """n-grams and their weights come from the samples themselves; `hashes` as in `Content`, one a sample.

        Or `vectors` [n_samples, n_dimensions] of unit length, that a model gave.
        """
        if vectors is not None:
            return cls(None, vectors.astype(np.float32).astype(np.float64), _contents(table, hashes))
        features, matrix = fit_features(table)
        return cls(features, _unit(matrix), _contents(table, hashes))

    def nearest(
        self,
        table: FieldTable,
        k: int,
        hashes: Sequence[tuple[int, ...]] | None = None,
        vectors: NDArray[np.float64] | None = None,
    ) -> Nearest:
        """The `k` nearest samples of the index; see `nearest`. `hashes` and `vectors` as the index was fitted."""
        asked = _contents(table, hashes)
        if self.features is not None:
            return self._nearest(_unit(self.features.matrix(table)), asked, k)
        if vectors is None:
            raise ValueError("the index was made of a model's vectors, which the asked samples need too")
        return self._nearest(vectors, asked, k)

    def nearest_to_each_other(self, k: int) -> Nearest:
        """What `nearest` says about the samples of the index."""
        return self._nearest(self.vectors, self.contents, k)

    def _nearest(self, vectors: Any, asked: Sequence[Content], k: int) -> Nearest:
        k = min(k, len(self.contents))
        rows, similarities = np.zeros((0, k), np.int64), np.zeros((0, k))
        for start in range(0, len(asked), _BLOCK):
            product = vectors[start : start + _BLOCK] @ self.vectors.T
            cosines = product if isinstance(product, np.ndarray) else product.toarray()
            part = nearest(cosines, asked[start : start + _BLOCK], self.contents, k)
            rows, similarities = np.vstack([rows, part.rows]), np.vstack([similarities, part.similarities])
        return Nearest(rows, similarities)

    def record(self) -> dict[str, Any]:
        """For JSON; with `arrays`, all that there is."""
        features = {} if self.features is None else self.features.record()
        return {**features, "samples": [content.record() for content in self.contents]}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For an npz file."""
        vectors = self.vectors
        if self.features is None:
            return {"vectors": np.asarray(vectors, dtype=np.float32)}
        return {
            **self.features.arrays(),
            "data": vectors.data,
            "indices": vectors.indices,
            "indptr": vectors.indptr,
        }

    @classmethod
    def of_record(cls, record: dict[str, Any], arrays: Any) -> "SampleIndex":
        """What `record` and `arrays` gave; KeyError, TypeError or ValueError for anything else."""
        from scipy.sparse import csr_matrix

        contents = tuple(Content.of_record(each) for each in record["samples"])
        if "blocks" not in record:
            dense = np.asarray(arrays["vectors"], dtype=np.float64)
            if dense.ndim != 2 or len(dense) != len(contents):
                raise ValueError(f"vectors of shape {dense.shape} for {len(contents)} samples")
            return cls(None, dense, contents)
        features = features_of_record(record, arrays)
        shape = len(contents), features.size
        vectors = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
        vectors.check_format(full_check=True)
        return cls(features, vectors, contents)


def _contents(table: FieldTable, hashes: Sequence[tuple[int, ...]] | None) -> tuple[Content, ...]:
    looks = hashes if hashes is not None else [()] * len(table)
    return tuple(Content.of(row, each) for row, each in zip(table.rows, looks, strict=True))


def _unit(matrix: "csr_matrix") -> "csr_matrix":
    """Rows of unit length; empty rows stay so."""
    from sklearn.preprocessing import normalize

    return normalize(matrix) if matrix.shape[0] and matrix.shape[1] else matrix
