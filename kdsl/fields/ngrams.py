"""TF-IDF vectors of character n-grams. scikit-learn fits them; to use them it need not be imported, which costs more
processor time than predicting a sample."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LONGEST_NGRAM = 3
_SPACES = re.compile(r"\s\s+")


@dataclass(frozen=True)
class NgramWeights:
    """What scikit-learn's `TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, lowercase=False)`
    has learned, and how it makes vectors: `(1 + log count) · idf`, of unit length."""

    ngrams: tuple[str, ...]
    """In the order of the columns."""
    idf: NDArray[np.float64]
    """[n_ngrams]"""

    @cached_property
    def columns(self) -> dict[str, int]:
        """n-gram → column."""
        return {ngram: column for column, ngram in enumerate(self.ngrams)}

    def transform(self, texts: Sequence[str]) -> "csr_matrix":
        """[n_texts, n_ngrams]; a text without any of the n-grams is a row of zeros."""
        from scipy.sparse import csr_matrix

        rows = [self._row(text) for text in texts]
        starts = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        columns = np.concatenate([columns for columns, _ in rows]) if rows else np.zeros(0, dtype=np.intp)
        values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0)
        return csr_matrix((values, columns, starts), shape=(len(rows), len(self.ngrams)))

    def _row(self, text: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The columns of the text's n-grams, ascending, and its values there."""
        text = _SPACES.sub(" ", text)
        starts = range(len(text))
        found = Counter(
            text[start : start + length]
            for length in range(1, LONGEST_NGRAM + 1)
            for start in starts[: len(text) - length + 1]
        )
        known = sorted((self.columns[ngram], count) for ngram, count in found.items() if ngram in self.columns)
        columns = np.array([column for column, _ in known], dtype=np.intp)
        values = (1 + np.log([count for _, count in known])) * self.idf[columns]
        return columns, values / (np.linalg.norm(values) or 1.0)
