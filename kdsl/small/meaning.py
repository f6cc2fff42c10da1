"""The sentence encoder as the small model: what lies near a label in meaning is worth trying, and makes sense."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags
from kdsl.embeddings.sentence_vectors import SentenceVectors
from kdsl.fields.table import FieldTable
from kdsl.label_matrix import membership
from kdsl.mining.proposer import BOOST, SHARE, Judged, LexicalProposer, label_texts
from kdsl.mining.units import segmented
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.sample import Task
from kdsl.text import normalise
from kdsl.vlm.usage import CallBudget

Floats = NDArray[np.float64]


class MeaningProposer:
    """Implements `Proposer`: conditions near to a label's description and to what its samples say come first."""

    name = "meaning"

    def __init__(self, vectors: SentenceVectors, table: FieldTable, labels: NDArray[np.int64]) -> None:
        """`labels` [n_samples] index the task's labels."""
        self._vectors = vectors
        self._labels = labels
        self._said = said(table)
        self._lexical = LexicalProposer()
        self._known: tuple[Task, Vocabulary, Floats] | None = None
        """Of the last task and vocabulary: all labels of a task are asked about in turn."""

    def terms(self, task: Task) -> Collection[str]:
        """The words that describe labels."""
        return self._lexical.terms(task)

    def prior(self, task: Task, label: int, vocabulary: Vocabulary, parts: Flags) -> Floats:
        """Half the lexical prior, half 1 to `BOOST` by how much nearer a condition is to the label than to others.

        The label is what it is called and described as, and the positives inside each part.
        """
        lexical = self._lexical.prior(task, label, vocabulary)
        known = self._known
        if known is None or known[0] is not task or known[1] is not vocabulary:
            self._known = known = task, vocabulary, self._preferred(task, vocabulary, parts)
        return (1 - SHARE) * lexical + SHARE * (1 + (BOOST - 1) * known[2][:, label])

    def _preferred(self, task: Task, vocabulary: Vocabulary, parts: Flags) -> Floats:
        """How much each condition speaks for each label: [n_parts, n_labels, n_conditions], 0 to 1."""
        conditions = self._vectors.of([words_of((condition,)) for condition in vocabulary.conditions])
        names = self._vectors.of(label_texts(task))
        members = membership(self._labels, len(task.labels)).astype(np.float64)
        found = []
        for part in parts:
            said = (members * part[:, None]).T @ self._said
            said /= np.maximum(np.linalg.norm(said, axis=1, keepdims=True), 1e-9)
            described, spoken = conditions @ names.T, conditions @ said.T
            share = shares(described, described) + shares(spoken, spoken)
            found.append((share / np.maximum(share.max(axis=0), 1e-300)).T)
        return np.stack(found)


class MeaningValidator:
    """Implements `Validator`: a rule makes sense for the label that its words lie nearest to."""

    choice = 36

    def __init__(self, vectors: SentenceVectors) -> None:
        self._vectors = vectors

    def within(self, budget: CallBudget) -> "MeaningValidator":
        """See `Validator.within`: nothing is called."""
        return self

    def judge(self, task: Task, rules: Sequence[Judged]) -> list[float | None]:
        """The label's share of the nearness of the rule's words to all labels; None for a rule without words."""
        names = self._vectors.of(label_texts(task)).T
        words = [words_of(conditions) for _, conditions in rules]
        # What is usual is told by the words of labels, so that a rule's sense does not depend on rules beside it.
        usual = sorted({word for text in label_texts(task) for word in segmented(text) if word.isalnum()})
        share = shares(self._vectors.of(words) @ names, self._vectors.of(usual) @ names)
        return [float(share[index, label]) if words[index] else None for index, (label, _) in enumerate(rules)]


def shares(cosines: NDArray[np.floating[Any]], usual: NDArray[np.floating[Any]]) -> Floats:
    """Cosines with every label as shares of 1: [n, n_labels].

    A softmax of how far they are above the mean of `usual` ones [n_usual, n_labels] with the same label, in units of
    the spread of these: both differ from encoder to encoder.
    """
    mean = usual.mean(axis=0)
    scaled = (cosines - mean) / max(float(np.std(usual - mean)), 1e-6)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def said(table: FieldTable) -> NDArray[np.floating[Any]]:
    """What each sample says, as a sentence vector: its last user turn, or else its page. [n_samples, size]"""
    spoken = table.vectors("last_user")
    return np.where(np.any(spoken, axis=1)[:, None], spoken, table.vectors("ocr"))


def words_of(conditions: Sequence[Condition]) -> str:
    """What the conditions look for, as one text; empty where they look for no words."""
    plain = [condition for condition in conditions if not condition.negated]
    said = [word for each in plain for word in (each.sought or (each.meaning.wordings if each.meaning else ()))]
    return normalise(" ".join(said))
