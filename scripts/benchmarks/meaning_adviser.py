"""The sentence encoder inside the search: what lies nearer to the right hits of a rule than to its wrong ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Indices
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.table import FieldTable
from kdsl.mining.proposer import Advice, Partial
from kdsl.sample import Task
from kdsl.small.meaning import said, words_of
from kdsl.vlm.usage import CallBudget

_SHARPNESS = 2.0
"""Of the softmax over candidates whose differences are in units of their spread."""


class MeaningAdviser:
    """Implements `NodeAdviser` with sentence vectors: no call, and no terms."""

    name = "meaning"
    local = False

    def __init__(self, vectors: SentenceVectors, table: FieldTable) -> None:
        self._vectors = vectors
        self._said = said(table)

    def within(self, budget: CallBudget) -> "MeaningAdviser":
        """See `NodeAdviser.within`."""
        return self

    def advise(self, task: Task, partial: Partial) -> Advice | None:
        """How much nearer the words of a candidate are to the mean of the right hits than to that of the wrong ones;
        of an exception the other way round. None where no candidate says words."""
        plain = [condition.model_copy(update={"negated": False}) for condition in partial.candidates]
        words = [words_of((condition,)) for condition in plain]
        known = np.array([bool(text) for text in words])
        if known.sum() < 2:
            return None
        difference = self._mean(partial.right) - self._mean(partial.wrong)
        nearer = self._vectors.of(words) @ difference
        sign = np.array([-1.0 if condition.negated else 1.0 for condition in partial.candidates])
        scaled = sign * (nearer - nearer[known].mean()) / max(float(nearer[known].std()), 1e-6)
        weights = np.where(known, np.exp(_SHARPNESS * (scaled - scaled[known].max())), 0.0)
        return Advice(weights / weights.sum())

    def _mean(self, samples: Indices) -> NDArray[np.floating[Any]]:
        mean = self._said[samples].mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)
