"""One task as mining sees it: samples, labels, folds, candidate conditions and their prior; and rules over these."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, count, pack
from kdsl.data.splits import stratified_folds
from kdsl.label_matrix import has_label, several
from kdsl.mining.counting import Counts, label_counts
from kdsl.mining.informative import informative_fields, read_field
from kdsl.mining.literals import written
from kdsl.mining.proposer import Proposer, described, label_words
from kdsl.mining.reliability import Shown
from kdsl.mining.reward import wilson
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition
from kdsl.sample import Task

ALL_SAMPLES = -1
"""The fold of rules mined on all samples."""


@dataclass(frozen=True, slots=True)
class FoundRule:
    """A rule over a vocabulary: all of `conditions` hold, each any of its indices, or none of them where negated."""

    label: int
    conditions: tuple[tuple[int, ...], ...]
    negated: tuple[bool, ...]
    candidates: int
    """Rules that the search scored before it was done."""
    named: tuple[Condition, ...] = ()
    """Conditions that the small model named in this search, with indices behind those of the vocabulary: see
    `kdsl.mining.named`. None once a task's vocabulary has them."""

    def bits(self, vocabulary: Vocabulary) -> Bitmap:
        """All samples of the vocabulary that the rule holds on."""
        everything = pack(np.ones(vocabulary.n_samples, dtype=bool))
        result = everything
        for indices, negated in zip(self.conditions, self.negated, strict=True):
            bits = np.bitwise_or.reduce(vocabulary.coverage[list(indices)], axis=0)
            result = result & ((everything & ~bits) if negated else bits)
        return result

    def written(self, vocabulary: Vocabulary) -> tuple[Condition, ...]:
        """The conditions as they stand in a rule file."""
        return written(vocabulary, self.conditions, self.negated)


@dataclass(frozen=True)
class MiningProblem:
    """One task's samples as the search sees them."""

    task: Task
    vocabulary: Vocabulary
    labels: NDArray[np.int64]
    """Of every sample, as `kdsl.label_matrix` has them. [n_samples], or [n_samples, n_labels]"""
    weights: NDArray[np.float64]
    """In (0, 1]; large where the classifier errs. [n_samples]"""
    prior: NDArray[np.float64]
    """From the proposer. [n_parts, n_labels, n_conditions]: part 0 for rules mined on all samples, part k + 1 for
    those mined without fold k; a single part where the proposer looks at no sample."""
    described: NDArray[np.float64]
    """See `kdsl.mining.proposer.described`. [n_labels, n_conditions]"""
    own_words: tuple[tuple[tuple[int, ...], ...], ...]
    """For every label and every searched text field the conditions on words that describe this label alone."""
    folds: NDArray[np.int64]
    seed: int
    proposer: str
    """The proposer's name."""

    def prior_of(self, fold: int, label: int) -> NDArray[np.float64]:
        """The prior of one search. [n_conditions]"""
        return self.prior[0 if len(self.prior) == 1 else fold - ALL_SAMPLES, label]

    @cached_property
    def with_descriptions(self) -> Vocabulary:
        """The vocabulary over the samples and, from the next whole word of each bitmap on, one more a label: its name
        and description, of which every text field holds the terms."""
        coverage = np.concatenate([self.vocabulary.coverage, pack(self.described.T > 0)], axis=1)
        return Vocabulary(self.vocabulary.conditions, coverage, 64 * coverage.shape[1])

    def rivalry(self, fold: int, label: int, z: float) -> NDArray[np.float64]:
        """How surely each condition speaks for a label other than `label` on the samples outside `fold`: the largest
        lower bound of its precision, see `wilson`. [n_conditions]

        With several labels a sample it speaks for another one only where `label` does not hold too.
        """
        if several(self.labels):
            return self._rivalry_beside(fold, label, z)
        if fold not in self._rivals:
            hits, correct = self.counts(fold)
            bounds = np.stack([wilson(of_name, hits, z) for of_name in correct])
            first, best = bounds.argmax(axis=0), bounds.max(axis=0)
            np.put_along_axis(bounds, first[None], -np.inf, axis=0)
            self._rivals[fold] = (first, best, bounds.max(axis=0))
        first, best, second = self._rivals[fold]
        return np.where(first == label, second, best)

    def counts(self, fold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The samples outside `fold` that each condition holds on, and those of each label among them, with one more
        for each label's name and description: [n_conditions] and [n_labels, n_conditions]."""
        of_label, of_fold = self._counts
        outside = np.arange(len(of_fold)) != fold
        said = self.described > 0
        correct = of_label[outside].sum(axis=0, dtype=np.int64) + said
        return of_fold[outside].sum(axis=0, dtype=np.int64) + said.sum(axis=0), correct

    @cached_property
    def _counts(self) -> tuple[Counts, Counts]:
        return label_counts(self.vocabulary.coverage, self.labels, len(self.task.labels), self.folds)

    @cached_property
    def _rivals(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
        """For each fold asked about the label that each condition speaks for most surely, how surely, and the second
        label's value."""
        return {}

    def shown(self, rule: FoundRule, members: Bitmap) -> Shown:
        """What the rule shows on the samples `members`."""
        bits = rule.bits(self.vocabulary) & members
        positives = self.having(rule.label) & members
        plain = [
            index for part, negated in zip(rule.conditions, rule.negated, strict=True) for index in part if not negated
        ]
        return Shown(
            hits=int(count(bits)),
            correct=int(count(bits & positives)),
            positives=int(count(positives)),
            conditions=len(rule.conditions),
            negations=sum(rule.negated),
            further_terms=sum(map(len, rule.conditions)) - len(rule.conditions),
            described=float(max((self.described[rule.label, index] for index in plain), default=0.0)),
            meanings=sum(self.vocabulary.meant[part[0]] >= 0 for part in rule.conditions),
        )

    def _rivalry_beside(self, fold: int, label: int, z: float) -> NDArray[np.float64]:
        names = np.arange(len(self.task.labels))
        members = np.concatenate([self.members(fold), pack(names >= 0)])
        coverage = self.with_descriptions.coverage & members
        hits, best = count(coverage), np.zeros(len(coverage))
        for other in names[names != label].tolist():
            alone = np.concatenate([self.having(other) & ~self.having(label), pack(names == other)])
            best = np.maximum(best, wilson(count(coverage & alone), hits, z))
        return best

    def having(self, label: int) -> Bitmap:
        """The samples that have a label."""
        return pack(has_label(self.labels, label))

    def members(self, fold: int) -> Bitmap:
        """The samples outside `fold`."""
        return pack(self.folds != fold)


def mining_problem(
    task: Task,
    vocabulary: Vocabulary,
    labels: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    proposer: Proposer,
    folds: int | NDArray[np.int64],
    seed: int,
) -> MiningProblem:
    """Lay out a task for the search; `weights` None counts all samples alike; `folds` is their number or the folds."""
    n_labels = len(task.labels)
    parts = stratified_folds(labels, min(folds, len(labels)), seed) if isinstance(folds, int) else folds
    searched = np.stack([parts != fold for fold in range(ALL_SAMPLES, int(parts.max()) + 1)])
    prior = np.stack([proposer.prior(task, label, vocabulary, searched) for label in range(n_labels)], axis=1)
    informative = informative_fields(vocabulary, labels, n_labels, parts)
    prior *= np.array([read_field(condition) in informative for condition in vocabulary.conditions])
    uniform = np.ones(len(labels)) if weights is None else weights
    own_words = _own_words(task, vocabulary, informative)
    return MiningProblem(
        task,
        vocabulary,
        labels,
        uniform,
        prior,
        described(task, vocabulary),
        own_words,
        parts,
        seed,
        proposer.name,
    )


def _own_words(task: Task, vocabulary: Vocabulary, fields: Collection[str]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    index = {(c.field, term): i for i, c in enumerate(vocabulary.conditions) for term in c.terms if c.field in fields}
    names = dict.fromkeys(field for field, _ in index)
    rows = [
        [tuple(dict.fromkeys(index[field, word] for word in words if (field, word) in index)) for field in names]
        for words in label_words(task)
    ]
    return tuple(tuple(conditions for conditions in row if conditions) for row in rows)


def jobs(problem: MiningProblem) -> list[tuple[int, int]]:
    """(fold, label) of every search that mining the task takes; fold ALL_SAMPLES first."""
    folds = [ALL_SAMPLES, *range(int(problem.folds.max()) + 1)]
    return [(fold, label) for fold in folds for label in range(len(problem.task.labels))]
