"""What the small model may say about a search: a prior before it, advice at its nodes, and judgements of its rules."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Flags, Indices, unpack
from kdsl.mining.function_words import says_nothing
from kdsl.mining.units import segmented
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import Matcher
from kdsl.sample import Task
from kdsl.text import normalise
from kdsl.vlm.usage import CallBudget

BOOST = 3.0
"""How much more than an average condition the one that is preferred is worth trying."""
SHARE = 0.5
"""Of the small model's preferences in a prior; the rest is what was known without it."""


class Proposer(Protocol):
    """What the small model says before the search."""

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

    def __init__(self, boost: float = BOOST) -> None:
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


@dataclass(frozen=True, slots=True)
class Partial:
    """A node of a search, as the small model is told of it; its samples are all of the part that is searched."""

    label: int
    rule: tuple[Condition, ...]
    right: Indices
    """Samples of the label that the rule holds on. [n_right]"""
    wrong: Indices
    """Samples of other labels that it holds on. [n_wrong]"""
    candidates: tuple[Condition, ...]
    """What may join the rule, the most promising first; those that are negated would be its exceptions."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What tells the right hits of a rule from the wrong ones."""

    preferred: NDArray[np.float64]
    """The probability that it is this candidate; 0 for one that was not asked about. [n_candidates]"""
    named: tuple[tuple[Condition, Flags], ...] = ()
    """Further conditions, each with all samples of the table that it holds on [n_samples]."""


class NodeAdviser(Protocol):
    """What the small model says inside the search, at nodes whose hits are mixed."""

    @property
    def name(self) -> str:
        """Of the model: other advice may come from another one."""
        ...

    @property
    def local(self) -> bool:
        """Whether it lives in this process alone, so that searches have to run here."""
        ...

    def advise(self, task: Task, partial: Partial) -> Advice | None:
        """None where it was not asked, or has nothing to say."""
        ...

    def within(self, budget: CallBudget) -> "NodeAdviser":
        """The same adviser on a budget of its own; itself where calls cost nothing."""
        ...


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

    def within(self, budget: CallBudget) -> "Validator":
        """The same validator on a budget of its own; itself where calls cost nothing."""
        ...
