"""TF-IDF vectors of character n-grams. scikit-learn fits them; to use them it need not be imported, which costs more
processor time than predicting a sample."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, repeat
from operator import add
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LONGEST_NGRAM = 3
_SPACES = re.compile(r"\s\s+")
_UNKNOWN = -1
"""Column of an n-gram that training did not have."""


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

        found = [self._found(text) for text in texts]
        # Rows and columns as one number, so that the n-grams of all texts are counted in one go.
        width = len(self.ngrams)
        cells = [columns + row * width for row, columns in enumerate(found)]
        distinct, counts = np.unique(np.concatenate([np.zeros(0, dtype=np.intp), *cells]), return_counts=True)
        columns = distinct % width
        values = (1 + np.log(counts)) * self.idf[columns]
        starts = np.searchsorted(distinct, np.arange(len(texts) + 1) * width)
        for first, end in pairwise(starts.tolist()):
            row = values[first:end]
            row /= math.sqrt(row @ row) or 1.0
        return csr_matrix((values, columns, starts), shape=(len(texts), width))

    def _found(self, text: str) -> NDArray[np.intp]:
        """The column of every occurrence of an n-gram in the text."""
        text = _SPACES.sub(" ", text)
        columns: list[int] = []
        ngrams: Sequence[str] = text
        for length in range(1, LONGEST_NGRAM + 1):
            columns += map(self.columns.get, ngrams, repeat(_UNKNOWN))
            ngrams = list(map(add, ngrams, text[length:]))
        found = np.array(columns, dtype=np.intp)
        return found[found != _UNKNOWN]
