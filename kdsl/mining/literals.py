"""The literals of one label's search: candidate conditions and negations that could help, with their prior."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, SampleWeights, count
from kdsl.mining.reward import Reward
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition

MAX_POSITIVE = 200
MAX_MEANT = 60
"""Conditions on meaning, beside those: many wordings say nearly the same, and must not take the place of words."""
THRESHOLDS = 2
"""Of one wording."""
MAX_NEGATED = 60
NEGATION_PRIOR = 0.3
"""Absence in a small sample is weak evidence, and reviewers reject it: negations start behind."""
_NEGATED_SHARE = 0.1
"""A negated condition may hold on at most this share of the label's samples."""


@dataclass(frozen=True)
class Literals:
    """Conditions to combine, best first within plain ones and negated ones."""

    vocabulary: Vocabulary
    condition: NDArray[np.int64]
    """Index into the vocabulary's conditions. [n_literals]"""
    negated: NDArray[np.bool_]
    bits: Bitmap
    """Samples that each literal holds on. [n_literals, n_words]"""
    prior: NDArray[np.float64]
    """Above 0, 1 for an average condition. [n_literals]"""

    def __len__(self) -> int:
        return len(self.condition)

    def field(self, literal: int) -> str:
        return self.vocabulary.conditions[self.condition[literal]].field

    def has_terms(self, literal: int) -> bool:
        return bool(self.vocabulary.conditions[self.condition[literal]].terms)

    def written(self, rule: Sequence[Sequence[int]]) -> tuple[Condition, ...]:
        """A rule of literals as it stands in a rule file."""
        conditions = [self.condition[list(part)].tolist() for part in rule]
        return written(self.vocabulary, conditions, [bool(self.negated[part[0]]) for part in rule])

    def with_more(self, conditions: Sequence[Condition], bits: Bitmap, prior: float) -> "Literals":
        """These, and after them plain ones on conditions that the vocabulary does not have: bits [n, n_words]."""
        more, n = self.vocabulary.with_more(conditions, bits), len(conditions)
        return Literals(
            more,
            np.append(self.condition, np.arange(len(self.vocabulary), len(more))),
            np.append(self.negated, np.zeros(n, dtype=bool)),
            np.concatenate([self.bits, bits]),
            np.append(self.prior, np.full(n, prior)),
        )


def written(
    vocabulary: Vocabulary, conditions: Sequence[Sequence[int]], negated: Sequence[bool]
) -> tuple[Condition, ...]:
    """Conditions as they stand in a rule file: each any of its indices, or none of them where negated."""
    result = []
    for indices, none_of in zip(conditions, negated, strict=True):
        parts = [vocabulary.conditions[index] for index in indices]
        terms = tuple(term for part in parts for term in part.terms)
        result.append(parts[0].model_copy(update={"terms": terms, "negated": none_of}))
    return tuple(result)


def choose_literals(
    vocabulary: Vocabulary,
    prior: NDArray[np.float64],
    positives: Bitmap,
    samples: Bitmap,
    weights: SampleWeights,
    reward: Reward,
    min_correct: int,
    rivalry: NDArray[np.float64],
    counts: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Literals:
    """The conditions that hold on at least `min_correct` positives more often than chance, and the negations that
    spare the positives and speak for another label; a prior of 0 leaves a condition out.

    `samples` are those mined on, `positives` those of the label among them; `rivalry` [n_conditions] tells how surely
    each condition speaks for another label. `counts` are the samples that each condition holds on, and the positives
    among them, where somebody has counted them and all samples weigh the same.
    """
    if counts is None:
        coverage = vocabulary.coverage & samples
        hits, correct = weights.count(coverage), weights.count(coverage & positives)
        right = count(coverage & positives)
    else:
        hits, correct = counts[0].astype(np.float64), counts[1].astype(np.float64)
        right = counts[1]
    base = reward.positives / float(weights.count(samples))
    useful = (right >= min_correct) & (correct > base * hits) & (prior > 0)
    promise = np.where(useful, reward(correct, hits) * prior, -1.0)
    meant = vocabulary.meant
    plain = np.concatenate(
        [
            _best(np.where(meant < 0, promise, -1.0), MAX_POSITIVE),
            _few_thresholds(_best(np.where(meant < 0, -1.0, promise), len(meant)), meant)[:MAX_MEANT],
        ]
    )
    removes = (correct <= _NEGATED_SHARE * reward.positives) & (hits - correct >= 2) & (prior > 0)
    # What a few positives lack may be any frequent word; what many samples of another label hold is a reason.
    negated = _best(np.where(removes, rivalry, -1.0), MAX_NEGATED)
    return Literals(
        vocabulary,
        np.concatenate([plain, negated]),
        np.repeat([False, True], [len(plain), len(negated)]),
        np.concatenate([vocabulary.coverage[plain] & samples, samples & ~vocabulary.coverage[negated]]),
        np.concatenate([prior[plain], NEGATION_PRIOR * prior[negated]]),
    )


def _few_thresholds(chosen: NDArray[np.int64], meant: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first `THRESHOLDS` of each wording."""
    seen: Counter[int] = Counter()
    kept = []
    for index in chosen.tolist():
        seen[meant[index]] += 1
        if seen[meant[index]] <= THRESHOLDS:
            kept.append(index)
    return np.array(kept, dtype=np.int64)


def _best(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Indices of the largest values, best first, those below 0 left out; ties keep their order."""
    order = np.argsort(-values, kind="stable")[:most]
    return order[values[order] >= 0]
