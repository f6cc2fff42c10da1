"""The small model inside the searches of a task: what it is asked at their nodes, and what its words are worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, count, members, pack
from kdsl.mining.literals import NEGATION_PRIOR, Literals
from kdsl.mining.proposer import BOOST, SHARE, Judged, NodeAdviser, Partial, Validator, label_texts
from kdsl.mining.reliability import log_odds
from kdsl.rules.condition import Condition
from kdsl.rules.matcher import first_occurrence
from kdsl.sample import Task
from kdsl.vlm.usage import CallBudget

Floats = NDArray[np.float64]

LEAST_RIGHT, LEAST_WRONG = 3, 2
"""Hits of a node that is asked about: with fewer there is nothing to tell apart."""
NAMED = 0.25
"""An exception that is preferred with this probability is named by the adviser, and no longer a guess from absence."""


@dataclass(frozen=True)
class Inside:
    """What the small model does inside the searches of a task. Searches that run in other processes take it along."""

    task: Task
    n_samples: int
    adviser: NodeAdviser
    validator: Validator | None = None
    sense: tuple[tuple[float, float], ...] = ()
    """For each part of the samples, all of them first: what the log odds of sense weigh beside those of a rule's
    precision, and the log odds of a rule that was not asked about. See `kdsl.mining.sense`."""
    known: dict[Judged, float | None] = field(default_factory=dict)
    """Judgements that were made before."""
    questions: int = 0
    """Calls for advice in one search, where they cost something."""
    judgements: int = 0
    """Calls for judgements in one search, likewise."""

    @property
    def local(self) -> bool:
        """Whether searches have to run in this process, where the small model is."""
        return self.adviser.local

    def described(self) -> list[Any]:
        """Everything that the rules depend on, for a fingerprint."""
        sense = [[round(number, 6) for number in part] for part in self.sense]
        return [self.adviser.name, sense, self.questions, self.judgements]

    def of(self, part: int, label: int) -> "InsideSearch":
        """For one search: `part` 0 looks at all samples, k + 1 at those outside fold k."""
        adviser = self.adviser.within(CallBudget(self.questions))
        weight, usual = self.sense[part] if self.sense else (0.0, 0.0)
        validator = None
        if self.validator is not None and weight > 0:
            validator = self.validator.within(CallBudget(self.judgements))
        own = replace(self, adviser=adviser, validator=validator)
        return InsideSearch(own, label, weight, usual)


@dataclass(frozen=True, slots=True)
class Heard:
    """Advice, as a search takes it up."""

    literals: Literals
    """With the conditions that the adviser named."""
    prior: Floats
    """Of every literal below this node. [n_literals]"""
    exceptions: NDArray[np.int64]
    """Negations that the adviser named."""


class InsideSearch:
    """The small model inside one search."""

    def __init__(self, inside: Inside, label: int, weight: float, usual: float) -> None:
        self._inside = inside
        self._label = label
        self._weight, self._usual = weight, usual
        self._senses: dict[Judged, float | None] = dict(inside.known)

    @property
    def judges(self) -> bool:
        """Whether judgements count in this search."""
        return self._inside.validator is not None

    def worth_asking(self, bits: Bitmap, positives: Bitmap) -> bool:
        """Whether a rule that holds on the samples `bits` has right and wrong hits enough to be told apart."""
        hits = self._samples(bits)
        right = int(count(hits & self._samples(positives)))
        return right >= LEAST_RIGHT and int(count(hits)) - right >= LEAST_WRONG

    def advice(
        self,
        literals: Literals,
        rule: Sequence[Sequence[int]],
        bits: Bitmap,
        positives: Bitmap,
        samples: Bitmap,
        candidates: NDArray[np.int64],
    ) -> Heard | None:
        """What the adviser says about a rule that holds on `bits`, of which `candidates` are literals that may join.

        All bitmaps are of the part that is searched, `positives` those of the label.
        """
        hits = self._samples(bits)
        positive = self._samples(positives)
        advice = self._inside.adviser.advise(
            self._inside.task,
            Partial(
                self._label,
                literals.written(rule),
                members(hits & positive),
                members(hits & ~positive),
                tuple(literals.written([[literal]])[0] for literal in candidates.tolist()),
            ),
        )
        if advice is None:
            return None
        preferred = np.zeros(len(literals))
        preferred[candidates] = advice.preferred
        usual = np.where(literals.negated, NEGATION_PRIOR, 1.0)
        share = preferred / max(float(preferred.max()), 1e-300)
        prior = (1 - SHARE) * literals.prior + SHARE * (usual + (BOOST - usual) * share)
        known = set(literals.vocabulary.conditions)
        new = {condition: flags for condition, flags in advice.named if condition not in known}
        if new:
            more = np.stack([self._coverage(condition, pack(flags)) for condition, flags in new.items()])
            literals = literals.with_more(list(new), more & samples, (1 - SHARE) + SHARE * BOOST)
            prior = np.append(prior, literals.prior[len(prior) :])
        return Heard(literals, prior, np.flatnonzero((preferred >= NAMED) & literals.negated[: len(preferred)]))

    def evidence(self, rules: Sequence[tuple[Condition, ...]]) -> Floats:
        """What the judgement of each rule adds to the log odds of its precision; 0 where there is none. [n_rules]"""
        validator = self._inside.validator
        if validator is None:
            return np.zeros(len(rules))
        keys = [(self._label, rule) for rule in rules]
        new = [key for key in dict.fromkeys(keys) if key not in self._senses]
        if new:
            self._senses |= dict(zip(new, validator.judge(self._inside.task, new), strict=True))
        senses = [self._senses[key] for key in keys]
        odds = [self._usual if sense is None else float(log_odds(sense)) for sense in senses]
        return self._weight * (np.array(odds) - self._usual)

    def _samples(self, bits: Bitmap) -> Bitmap:
        """Without the labels' names, which stand behind the samples."""
        return bits[: -(-self._inside.n_samples // 64)]

    def _coverage(self, condition: Condition, flags: Bitmap) -> Bitmap:
        """A named condition over samples and labels' names."""
        texts = label_texts(self._inside.task)
        names = np.array([any(first_occurrence(t, term, len(t)) >= 0 for term in condition.terms) for t in texts])
        return np.concatenate([flags, pack(names)])
