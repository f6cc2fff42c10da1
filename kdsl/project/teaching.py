"""Accepted rules teach the classifier: they label unlabelled samples, and it learns from these lightly.

Everything is made without each fold too: what predicts a fold has learned nothing that its samples' labels taught. So
the arbiter, which is fitted on those predictions, finds that a rule adds less to a classifier that it has taught.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kdsl.arbiter.choice import judge_alone
from kdsl.arbiter.evidence import rule_labels
from kdsl.arbiter.fit import fold_rules, measure
from kdsl.arbiter.label_model import label_probabilities, rule_evidence
from kdsl.arbiter.taught import Taught
from kdsl.arbiter.trained import usable_rules
from kdsl.augmentation.trainer import AugmentingTrainer
from kdsl.fields.table import FieldTable
from kdsl.mining.update import MinedRules
from kdsl.models.classifier import Classifier
from kdsl.models.embedded import EmbeddedTrainer
from kdsl.models.out_of_fold import out_of_fold
from kdsl.models.soft_labels import SoftLabelLearner, SoftLabels
from kdsl.project.task import Labels, Learner, TaskProject
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule

Floats = NDArray[np.float64]
AnyLearner = TypeVar("AnyLearner", bound=Learner)

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Candidates for what a sample that rules labelled counts against one that people labelled, beside 0."""
MOST_TAUGHT = 1000
"""Samples that are learned from, at most, each label having its share of them: labels with many or broad rules must
not crowd out others. Time grows with the square of their number, and more brought nothing: docs/classifiers.md."""


@dataclass(frozen=True)
class Teaching:
    """What accepted rules say about unlabelled samples, for a classifier to learn."""

    taught: Taught | None = None
    """None where there are no unlabelled samples, so that there is nothing to tell."""
    soft_labels: SoftLabels | None = None
    """By all accepted rules; None where nothing is to be learned."""
    without: Mapping[int, SoftLabels] = field(default_factory=dict)
    """Fold → by the rules that are known without it."""

    def learner(self, plain: AnyLearner) -> AnyLearner:
        """The same trainer, which learns from what all accepted rules say too."""
        return plain if self.soft_labels is None else _learning(plain, self.soft_labels)

    def learner_without(self, plain: AnyLearner, fold: int) -> AnyLearner:
        """The same with what is known without a fold."""
        return plain if self.soft_labels is None else _learning(plain, self.without[fold])


def _learning(plain: AnyLearner, soft_labels: SoftLabels) -> AnyLearner:
    assert isinstance(plain, SoftLabelLearner)
    return plain.with_soft_labels(soft_labels) if len(soft_labels) else plain


def teach(own: TaskProject, learner: Learner, mined: MinedRules) -> Teaching:
    """Let the accepted rules of `mined` label the unlabelled samples of a task for what `learner` trains.

    How much a sample labelled so counts is the weight of `WEIGHTS` with which the linear classifier has the least log
    loss on the folds of mining; 0 where that is not smaller by more than its standard error. Out of fold those
    accepted rules teach that people wrote or that were found again without the fold, measured without it: rules found
    on all samples know the labels of those that are left out.
    """
    unlabelled = own.unlabelled()
    if not own.teaching or not len(unlabelled):
        return Teaching()
    rules = usable_rules(mined.rules, own.task, own.table.sidecars)
    accepted = [rule for rule in rules if rule.approved]
    if own.task.multi:
        return Teaching(Taught(len(unlabelled), hindrance="a rule says nothing of the other labels of a sample"))
    trainer = _embedded(learner)
    if trainer is None:
        return Teaching(Taught(len(unlabelled), hindrance="this classifier learns nothing from what rules say"))
    if trainer.soft_labels is not None:
        return Teaching(Taught(len(unlabelled), hindrance="a teacher's labels are, in which rules had their say"))
    if not accepted:
        return Teaching(Taught(len(unlabelled), hindrance="no rule is accepted yet"))
    return _Lessons(own, unlabelled, trainer.linear_alone, mined, rules).teach(accepted)


def _embedded(learner: Learner) -> EmbeddedTrainer | None:
    """The trainer with a linear part that can learn what rules say; None for any other."""
    inner = learner.inner if isinstance(learner, AugmentingTrainer) else learner
    return inner if isinstance(inner, EmbeddedTrainer) and "linear" in inner.embedded.parts else None


@dataclass(frozen=True)
class _Lessons:
    """The work of `teach`: the linear classifier alone, untaught and taught."""

    own: TaskProject
    unlabelled: FieldTable
    trainer: EmbeddedTrainer
    mined: MinedRules
    rules: Sequence[Rule]
    """All that are usable, ruled out ones too."""

    def teach(self, accepted: Sequence[Rule]) -> Teaching:
        own, n_labels = self.own, len(self.own.task.labels)
        shown = self._reliability(accepted)
        labelled = self._lesson(self.trainer.fit(own.table, own.labels, n_labels), accepted, shown)
        taught = Taught(len(self.unlabelled), len(accepted), labelled.count, len(labelled.soft_labels))
        if not labelled.count:
            return Teaching(replace(taught, hindrance="no accepted rule hits one"))
        folds = self.mined.archive.folds_of(own.sample_ids)
        untaught, without = self._without_folds(folds)
        weight = self._weight(folds, untaught, without)
        if weight == 0.0:
            return Teaching(replace(taught, learned=0))
        return Teaching(
            replace(taught, weight=weight),
            replace(labelled.soft_labels, weight=weight),
            {fold: replace(soft_labels, weight=weight) for fold, soft_labels in without.items()},
        )

    def _reliability(self, accepted: Sequence[Rule]) -> Floats:
        """What accepted rules are worth by all training samples: [n_rules], as the arbiter has it."""
        own, mined = self.own, self.mined
        hits = Engine(accepted).matrix(own.table)
        measured = measure(own.task, accepted, hits, own.labels, mined.statistics, mined.archive.reliability)
        return np.array([each.reviewed(True) for each in measured], dtype=np.float64)

    def _without_folds(self, folds: Labels) -> tuple[Floats, dict[int, SoftLabels]]:
        """The probabilities of the untaught classifier out of fold, and fold → what is to be learned without it."""
        own, n_labels = self.own, len(self.own.task.labels)
        untaught, without = np.empty((len(own.table), n_labels)), {}
        for fold in np.unique(folds).tolist():
            inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            classifier = self.trainer.fit(own.table.select(outside), own.labels[outside], n_labels)
            untaught[inside] = classifier.predict(own.table.select(inside)).probabilities
            spoken = fold_rules(own.task, own.table, own.labels, self.mined.archive, fold, self.rules, folds != fold)
            known = [i for i, rule in enumerate(spoken.rules) if rule.approved]
            lesson = self._lesson(classifier, [spoken.rules[i] for i in known], spoken.reliability[known])
            without[fold] = lesson.soft_labels
        return untaught, without

    def _weight(self, folds: Labels, untaught: Floats, without: Mapping[int, SoftLabels]) -> float:
        """Temperatures are fitted first: that the taught are less sure must not count as if they knew more."""
        own, n_labels = self.own, len(self.own.task.labels)
        before, judged = judge_alone(untaught, own.labels, own.seed), {}
        for weight in WEIGHTS:
            trainers = {
                fold: self.trainer.with_soft_labels(replace(soft_labels, weight=weight))
                for fold, soft_labels in without.items()
            }
            taught = out_of_fold(trainers, own.table, own.labels, n_labels, folds)
            judged[weight] = judge_alone(taught, own.labels, own.seed).gain_over(before)
        best = max(WEIGHTS, key=lambda weight: judged[weight][0])
        gain, error = judged[best]
        return best if gain > error else 0.0

    def _lesson(self, classifier: Classifier, rules: Sequence[Rule], reliability: Floats) -> "_Lesson":
        """What `rules` say about the unlabelled samples, given what an untaught classifier says."""
        own = self.own
        hits = Engine(rules).matrix(self.unlabelled)
        labels = rule_labels(own.task, rules)
        base_rates = np.bincount(own.labels, minlength=len(own.task.labels)) / len(own.labels)
        evidence = rule_evidence(hits, labels, reliability, base_rates)
        rows = np.flatnonzero(evidence.any(axis=1))
        shares = label_probabilities(classifier.predict(self.unlabelled.select(rows)).probabilities, evidence[rows])
        kept = _spread(shares.argmax(axis=1), np.ceil(MOST_TAUGHT * base_rates), own.seed)
        return _Lesson(len(rows), SoftLabels(self.unlabelled.select(rows[kept]), shares[kept]))


@dataclass(frozen=True)
class _Lesson:
    count: int
    """Samples that rules label."""
    soft_labels: SoftLabels
    """Of each label at most its share of `MOST_TAUGHT`."""


def _spread(labels: Labels, most: Floats, seed: int) -> Labels:
    """Rows in their order, of each label at most `most` [n_labels], by chance."""
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = [order[labels[order] == label][: int(most[label])] for label in np.unique(labels)]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *chosen]))
