"""Proposers give the search its prior: how promising each candidate condition is for a label before it is tried."""

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags, unpack
from kdsl.mining.function_words import says_nothing
from kdsl.mining.units import segmented
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import Matcher
from kdsl.sample import Task
from kdsl.text import normalise


class Proposer(Protocol):
    """The small model's seat in the search."""

    @property
    def name(self) -> str:
        """What stands in the provenance of rules."""
        ...

    def terms(self, task: Task) -> Collection[str]:
        """Terms that are candidates however few samples hold them."""
        ...

    def prior(self, task: Task, label: int, vocabulary: Vocabulary, parts: Flags) -> NDArray[np.float64]:
        """How much more than an average one each condition is worth trying for a label of `task`.

        `parts` [n_parts, n_samples] marks the samples that each search may look at. Returns [n_parts, n_conditions],
        or [1, n_conditions] of a proposer that looks at no sample.
        """
        ...


class LexicalProposer:
    """The embedded proposer: a term that names or describes the label, and few other labels, is worth trying first.

    Statistics of the training samples come in through the search's reward; this is what the label's own words add.
    """

    def __init__(self, boost: float = 3.0) -> None:
        self._boost = boost
        self._described: tuple[Task, Vocabulary, NDArray[np.float64]] | None = None
        """Of the last task and vocabulary: all labels of a task are asked about in turn."""

    name = "lexical"

    def terms(self, task: Task) -> Collection[str]:
        return [word for words in label_words(task) for word in words]

    def prior(self, task: Task, label: int, vocabulary: Vocabulary, parts: Flags | None = None) -> NDArray[np.float64]:
        """See `Proposer.prior`; [1, n_conditions], as the samples of `parts` are not looked at."""
        known = self._described
        if known is None or known[0] is not task or known[1] is not vocabulary:
            self._described = known = (task, vocabulary, described(task, vocabulary))
        return 1.0 + (self._boost - 1.0) * known[2][label][None]


def described(task: Task, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """How specific the words of each condition are to each label's name and description: [n_labels, n_conditions] in
    [0, 1].

    1 for one that stands in one label's words only, 1/k where k labels share it, 0 where it does not occur.
    """
    words = [condition.normalised_words for condition in vocabulary.conditions]
    terms = sorted(frozenset().union(*words))
    texts = label_texts(task)
    found = dict(zip(terms, unpack(Matcher(terms).bitmaps(texts), len(texts)), strict=True)) if terms else {}
    occurs = np.zeros((len(texts), len(vocabulary)))
    for index, of_condition in enumerate(words):
        for term in of_condition:
            occurs[:, index] = np.maximum(occurs[:, index], found[term])
    return occurs / np.maximum(occurs.sum(axis=0, keepdims=True), 1.0)


def label_texts(task: Task) -> list[str]:
    """Name and description of every label, normalised; underscores in names separate words."""
    return [normalise(f"{label.words} {label.description}") for label in task.labels]


def label_words(task: Task) -> list[tuple[str, ...]]:
    """For every label the words of its name and description that stand in no other label's, in their order."""
    texts = label_texts(task)
    result = []
    for text in texts:
        words = dict.fromkeys(segmented(text))
        own = [word for word in words if len(word) >= 2 and word.isalnum() and not says_nothing(word)]
        result.append(tuple(word for word in own if sum(word in other for other in texts) == 1))
    return result


Judged = tuple[int, tuple[Condition, ...]]
"""(label, conditions) of a rule to judge."""


class Validator(Protocol):
    """Judges rules by what they say, without a look at samples, so that no held-out sample can leak into it."""

    @property
    def choice(self) -> int:
        """How many candidates of a label it should be asked about; few where every question costs."""
        ...

    def judge(self, task: Task, rules: Sequence[Judged]) -> list[float | None]:
        """The probability that each rule makes sense, in the order of `rules`; None where it was not asked."""
        ...
