"""The nearest of some samples, by cosine; never the asked sample itself, nor a copy of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.features import Features, Fit, features_of_record, fit_features, joined
from kdsl.fields.table import FieldTable
from kdsl.retrieval.content import Content
from kdsl.sample import original_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_BLOCK = 1024
"""Samples that are compared with the whole index at once."""
_FEW = 4
"""Times as many as are wanted are sorted first: some may be left out."""


@dataclass(frozen=True)
class Nearest:
    """The nearest samples of the index for each asked one, nearest first; -1 and 0 where there are fewer."""

    rows: NDArray[np.int64]
    """[n_asked, k] rows of the index."""
    similarities: NDArray[np.float64]
    """[n_asked, k] cosines, all above 0 for a row that is not -1."""


@dataclass(frozen=True)
class SampleIndex:
    """Samples as vectors of unit length: TF-IDF of their texts, or a model's."""

    features: Features | None
    """None where a model gives the vectors."""
    vectors: "csr_matrix | NDArray[np.float64]"
    """[n_samples, n_dimensions]"""
    contents: tuple[Content, ...]
    originals: tuple[int, ...]
    """[n_samples]: the row of the sample that each is a copy of, its own for one that is none."""

    @classmethod
    def fit(
        cls,
        table: FieldTable,
        hashes: Sequence[tuple[int, ...]] | None = None,
        vectors: NDArray[np.float64] | None = None,
        fit: Fit = fit_features,
    ) -> "SampleIndex":
        """n-grams and their weights come from the samples themselves; `hashes` as in `Content`, one a sample.

        Or `vectors` [n_samples, n_dimensions] of unit length, that a model gave.
        """
        contents, originals = _contents(table, hashes), tuple(original_rows([row.sample for row in table.rows]))
        if vectors is not None:
            return cls(None, vectors.astype(np.float32).astype(np.float64), contents, originals)
        features, parts = fit(table)
        return cls(features, _unit(joined(parts)), contents, originals)

    def nearest(
        self,
        table: FieldTable,
        k: int,
        hashes: Sequence[tuple[int, ...]] | None = None,
        vectors: NDArray[np.float64] | None = None,
    ) -> Nearest:
        """The `k` nearest samples of the index, none that is the asked one by `Content.same`, nor a copy of such.

        `hashes` and `vectors` as the index was fitted.
        """
        asked = _contents(table, hashes)
        if self.features is not None:
            return self._nearest(self.unit_vectors(table), asked, k)
        if vectors is None:
            raise ValueError("the index was made of a model's vectors, which the asked samples need too")
        return self._nearest(vectors, asked, k)

    def unit_vectors(self, table: FieldTable) -> "csr_matrix":
        """The samples of `table` as vectors like those of the index: [n_asked, n_dimensions].

        ValueError for an index that was made of a model's vectors.
        """
        if self.features is None:
            raise ValueError("the index was made of a model's vectors, which the asked samples need too")
        return _unit(self.features.matrix(table))

    def nearest_to_each_other(self, k: int) -> Nearest:
        """What `nearest` says about the samples of the index; here a copy and what it is a copy of are told by row."""
        return self._nearest(self.vectors, self.contents, k, self.originals)

    def _nearest(
        self, vectors: Any, asked: Sequence[Content], k: int, of_index: Sequence[int] | None = None
    ) -> Nearest:
        """`of_index` [n_asked]: rows of the index that the asked ones are, or are copies of."""
        k = min(k, len(self.contents))
        rows, similarities = np.full((len(asked), k), -1, dtype=np.int64), np.zeros((len(asked), k))
        for start in range(0, len(asked), _BLOCK):
            product = vectors[start : start + _BLOCK] @ self.vectors.T
            cosines = product if isinstance(product, np.ndarray) else product.toarray()
            for number, cosine in enumerate(cosines, start=start):
                itself = None if of_index is None else of_index[number]
                found = self._others(cosine, asked[number], k, itself)
                rows[number, : len(found)], similarities[number, : len(found)] = found, cosine[found]
        return Nearest(rows, similarities)

    def _others(self, cosines: NDArray[np.float64], asked: Content, k: int, itself: int | None) -> list[int]:
        """At most `k` rows with a cosine above 0, the largest first."""
        found: list[int] = []
        left_out = {itself}
        for row in _descending(cosines, _FEW * (k + 1)):
            if len(found) == k or cosines[row] <= 0:
                break
            if self.originals[row] in left_out:
                continue
            if asked.same(self.contents[row]):
                left_out.add(self.originals[row])
            else:
                found.append(row)
        return found

    def record(self) -> dict[str, Any]:
        """For JSON; with `arrays`, all that there is."""
        features = {} if self.features is None else self.features.record()
        samples = [content.record() for content in self.contents]
        return {**features, "samples": samples, "originals": self.originals}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For an npz file."""
        vectors: Any = self.vectors
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
        originals = tuple(map(int, record["originals"]))
        if len(originals) != len(contents):
            raise ValueError(f"{len(originals)} originals of {len(contents)} samples")
        if "blocks" not in record:
            dense = np.asarray(arrays["vectors"], dtype=np.float64)
            if dense.ndim != 2 or len(dense) != len(contents):
                raise ValueError(f"vectors of shape {dense.shape} for {len(contents)} samples")
            return cls(None, dense, contents, originals)
        features = features_of_record(record, arrays)
        shape = len(contents), features.size
        vectors = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
        vectors.check_format(full_check=True)
        return cls(features, vectors, contents, originals)


def _descending(values: NDArray[np.float64], few: int) -> Iterator[int]:
    """The indices of `values`, that of the largest first, of equal ones the first one; `few` of them at once, at least
    1, then more: to sort all would take most of the time of a search."""
    done = 0
    while done < len(values):
        last = max(len(values) - few, 0)
        rows = np.flatnonzero(values >= np.partition(values, last)[last])
        order = rows[np.argsort(-values[rows], kind="stable")]
        yield from order[done:].tolist()
        done, few = len(order), 8 * few


def _contents(table: FieldTable, hashes: Sequence[tuple[int, ...]] | None) -> tuple[Content, ...]:
    looks = hashes if hashes is not None else [()] * len(table)
    return tuple(Content.of(row, each) for row, each in zip(table.rows, looks, strict=True))


def _unit(matrix: "csr_matrix") -> "csr_matrix":
    """Rows of unit length; empty rows stay so."""
    from sklearn.preprocessing import normalize

    return normalize(matrix) if matrix.shape[0] and matrix.shape[1] else matrix
