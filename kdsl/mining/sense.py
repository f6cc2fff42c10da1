"""What the small model's judgement of a rule is worth inside the searches, learned before they start.

A judgement looks at no sample, but whether it tells anything does show on samples only. So for each label the best
single conditions outside a fold are judged, and scored on that fold: the weight of the judgement beside what the rule
showed in training is that of `kdsl.mining.reliability`. What is used in the searches without a fold was learned from
the other folds.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from kdsl.bitmaps import count
from kdsl.label_matrix import label_shares
from kdsl.mining.problem import ALL_SAMPLES, FoundRule, MiningProblem
from kdsl.mining.proposer import Judged, Validator
from kdsl.mining.reliability import FEATURES, Reliability, Shown, fit_reliability
from kdsl.mining.reward import Reward

_SHARE = 0.5
"""Of the validator's `choice` that are judged without each fold, for every label."""
_SENSE = FEATURES.index("makes sense")


@dataclass(frozen=True)
class Sense:
    """What judgements are worth, and those that were made to learn it."""

    weights: tuple[tuple[float, float], ...] = ()
    """For all samples, and for those outside each fold: what the log odds of sense add to those of a rule's precision,
    0 where they do not help; and the log odds that a rule is taken to have which was not judged."""
    judged: dict[Judged, float | None] = field(default_factory=dict)


@dataclass
class _HeldOut:
    """Single conditions of one fold, as rules."""

    rules: list[FoundRule] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)
    """In the fold, of each rule; `correct` likewise."""
    correct: list[int] = field(default_factory=list)


def fit_sense(problem: MiningProblem, validator: Validator, z: float) -> Sense:
    """Judge single conditions and learn what that is worth; `z` is that of the search's reward."""
    n_folds = int(problem.folds.max()) + 1
    parts = [_held_out(problem, fold, int(_SHARE * validator.choice), z) for fold in range(n_folds)]
    rules = {(rule.label, rule.conditions): rule for part in parts for rule in part.rules}
    asked = [(rule.label, rule.written(problem.vocabulary)) for rule in rules.values()]
    senses = validator.judge(problem.task, asked)
    sense_of = dict(zip(rules, senses, strict=True))
    for part in parts:
        pairs = zip(part.shown, part.rules, strict=True)
        part.shown = [replace(shown, sense=sense_of[rule.label, rule.conditions]) for shown, rule in pairs]
    fitted = [
        _fit([part for fold, part in enumerate(parts) if fold != left_out], problem)
        for left_out in range(ALL_SAMPLES, n_folds)
    ]
    weights = tuple((max(0.0, each.coefficients[_SENSE]), each.unasked) for each in fitted)
    return Sense(weights, dict(zip(asked, senses, strict=True)))


def _held_out(problem: MiningProblem, fold: int, n_conditions: int, z: float) -> _HeldOut:
    """The best conditions of each label outside `fold`, and what they do in it."""
    members, vocabulary = problem.members(fold), problem.vocabulary
    outside = vocabulary.coverage & members
    hits = count(outside).astype(np.float64)
    held = _HeldOut()
    for label in range(len(problem.task.labels)):
        positives = problem.having(label)
        n_positives = int(count(positives & members))
        if n_positives == 0:
            continue
        correct = count(outside & positives).astype(np.float64)
        worth = np.where(problem.prior_of(fold, label) > 0, Reward(float(n_positives), z)(correct, hits), 0.0)
        best = np.argsort(-worth, kind="stable")[:n_conditions]
        for index in best[worth[best] > 0].tolist():
            rule = FoundRule(label, ((index,),), (False,), 1)
            kept = rule.bits(vocabulary) & ~members & ~vocabulary.giving(rule.conditions)
            held.rules.append(rule)
            held.shown.append(problem.shown(rule, members))
            held.hits.append(int(count(kept)))
            held.correct.append(int(count(kept & positives)))
    return held


def _fit(parts: list[_HeldOut], problem: MiningProblem) -> Reliability:
    rates = label_shares(problem.labels, len(problem.task.labels))
    hits = np.array([hit for part in parts for hit in part.hits], dtype=np.int64)
    correct = np.array([right for part in parts for right in part.correct], dtype=np.int64)
    labels = np.array([rule.label for part in parts for rule in part.rules], dtype=np.int64)
    shown = [each for part in parts for each in part.shown]
    return fit_reliability(shown, hits, correct, float(hits @ rates[labels]))
