"""The passages that fit a sample best, by the n-grams that they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdsl.fields.features import fit_ngrams, ngram_weights
from kdsl.fields.ngrams import NgramWeights
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.npz_file import floats
from kdsl.retrieval.knowledge import Passage
from kdsl.text import normalise

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class PassageIndex:
    """Passages as TF-IDF vectors; n-grams that neither two passages nor a passage and a sample share do not count."""

    passages: tuple[Passage, ...]
    vectorizer: NgramWeights | None
    """None without passages."""

    @classmethod
    def fit(cls, passages: Sequence[Passage], table: FieldTable) -> "PassageIndex":
        """What n-grams are worth is learned from the passages and the samples of `table` together."""
        if not passages:
            return cls((), None)
        texts = [normalise(passage.whole) for passage in passages]
        vectorizer, _ = fit_ngrams([*texts, *map(asked_text, table.rows)])
        return cls(tuple(passages), vectorizer)

    def best(self, row: SampleFields, k: int) -> list[Passage]:
        """At most `k` passages that share an n-gram with the sample, the best first."""
        if self.vectorizer is None or k == 0:
            return []
        similarities = (self.vectorizer.transform([asked_text(row)]) @ self._vectors.T).toarray()[0]
        order = np.argsort(-similarities, kind="stable")[:k]
        return [self.passages[place] for place in order if similarities[place] > 0]

    @cached_property
    def _vectors(self) -> "csr_matrix":
        """[n_passages, n_ngrams]"""
        assert self.vectorizer is not None
        return self.vectorizer.transform([normalise(passage.whole) for passage in self.passages])

    def record(self) -> dict[str, Any]:
        """For JSON; with `arrays`, all that there is."""
        return {
            "passages": [[passage.title, passage.text, passage.source] for passage in self.passages],
            "ngrams": [] if self.vectorizer is None else list(self.vectorizer.ngrams),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For an npz file."""
        return {} if self.vectorizer is None else {"passages": self.vectorizer.idf}

    @classmethod
    def of_record(cls, record: dict[str, Any], arrays: Any) -> "PassageIndex":
        """What `record` and `arrays` gave; KeyError, TypeError or ValueError for anything else."""
        if not record["passages"]:
            return cls((), None)
        if not all(isinstance(text, str) for texts in record["passages"] for text in texts):
            raise ValueError("passages that are no texts")
        passages = tuple(Passage(*texts) for texts in record["passages"])
        return cls(passages, ngram_weights(record["ngrams"], floats(arrays, "passages", 1)))


def asked_text(row: SampleFields) -> str:
    """What a sample is looked up by: the user's words, and those on the images, normalised."""
    return "\n".join(filter(None, (row.text(field).text for field in ("user", "ocr", "caption"))))
