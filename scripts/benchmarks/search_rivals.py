"""What the rule search is compared with: enumeration, random rules, greedy search and beam search.

All score rules with the reward and the cost of length that KDSL's search uses, on the same literals, any of which may
join a rule that starts with a plain one; a rule scored is one evaluation.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from kdsl.bitmaps import Bitmap, SampleWeights
from kdsl.mining.literals import Literals
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search, SearchSettings

COST, NEGATION_COST = SearchSettings().cost, SearchSettings().negation_cost
_KEPT = 40
"""Rules remembered of one pass over all literals."""

Rule = tuple[int, ...]
"""Sorted indices of literals."""
Scored = tuple[float, bytes]
"""Reward and samples of a rule."""


@dataclass(frozen=True)
class Problem:
    """One label to find rules for, all samples counted alike."""

    name: str
    literals: Literals
    """Plain ones first, then their negations."""
    positives: Bitmap
    samples: Bitmap
    weights: SampleWeights
    reward: Reward

    @property
    def n_plain(self) -> int:
        return int((~self.literals.negated).sum())

    def search(self, settings: SearchSettings, seed: int) -> Search:
        return Search(self.literals, self.positives, self.samples, self.weights, self.reward, settings, seed)

    def smaller(self, n_plain: int) -> "Problem":
        """Only the first `n_plain` plain literals and their negations."""
        literals = self.literals
        kept = np.concatenate([np.arange(n_plain), self.n_plain + np.arange(n_plain)])
        parts = (part[kept] for part in (literals.condition, literals.negated, literals.bits, literals.prior))
        chosen = Literals(literals.vocabulary, *parts)
        return Problem(self.name, chosen, self.positives, self.samples, self.weights, self.reward)

    def parts(self) -> np.ndarray:
        """What each literal adds to the length that is paid for. [n_literals]"""
        return np.where(self.literals.negated, NEGATION_COST, 1.0)

    def rewards(self, bits: Bitmap, parts: np.ndarray) -> np.ndarray:
        """Rewards of the rules with these bitmaps and lengths."""
        hits, correct = self.weights.count(bits), self.weights.count(bits & self.positives)
        return self.reward(correct, hits, COST * (parts - 1))


class Scorer:
    """Scores rules one pass at a time, counts them, and keeps the best of each pass."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.parts = problem.parts()
        self.evaluations = 0
        self._kept: dict[bytes, float] = {}

    def extensions(self, rule: Rule) -> np.ndarray:
        """The reward of the rule joined by each literal; -1 where that makes no rule. [n_literals]"""
        literals = self.problem.literals
        scored = np.ones(len(literals), dtype=bool) if rule else ~literals.negated
        scored[list(rule)] = False
        bits = np.bitwise_and.reduce(literals.bits[list(rule)], axis=0) if rule else self.problem.samples
        chosen = np.flatnonzero(scored)
        rewards = np.full(len(literals), -1.0)
        rewards[chosen] = self.score(literals.bits[chosen] & bits, self.parts[chosen] + self.parts[list(rule)].sum())
        return rewards

    def score(self, bits: Bitmap, parts: np.ndarray) -> np.ndarray:
        self.evaluations += len(bits)
        rewards = self.problem.rewards(bits, parts)
        for index in np.argsort(-rewards, kind="stable")[:_KEPT].tolist():
            key = bits[index].tobytes()
            self._kept[key] = max(self._kept.get(key, 0.0), float(rewards[index]))
        return rewards

    def best(self) -> list[Scored]:
        """The best rules that hit different samples, best first."""
        return sorted(((reward, key) for key, reward in self._kept.items()), reverse=True)


def enumerated(problem: Problem, length: int) -> tuple[float, int]:
    """The best reward of all rules of at most `length` literals, and how many rules there are."""
    literals, parts = problem.literals, problem.parts()
    evaluations, best = 0, 0.0

    def below(bits: Bitmap, spent: float, start: int, depth: int) -> None:
        nonlocal evaluations, best
        stop = problem.n_plain if depth == 0 else len(literals)  # sorted: the first literal is a plain one
        joined = literals.bits[start:stop] & bits
        rewards = problem.rewards(joined, parts[start:stop] + spent)
        evaluations += len(rewards)
        best = max(best, float(rewards.max(initial=0.0)))
        if depth + 1 < length:
            for index in range(start, stop):
                below(joined[index - start], spent + parts[index], index + 1, depth + 1)

    below(problem.samples, 0.0, 0, 0)
    return best, evaluations


def random_rules(problem: Problem, length: int, budget: int, seed: int) -> list[Scored]:
    """Rules of random length; the first literal is drawn by the reward it has alone, the others evenly."""
    random, scorer = np.random.default_rng(seed), Scorer(problem)
    alone = np.maximum(scorer.extensions(()), 0.0)
    n = budget - scorer.evaluations
    first = random.choice(len(alone), size=n, p=alone / alone.sum())
    lengths = random.integers(2, length + 1, size=n)
    bits, parts = problem.literals.bits[first], scorer.parts[first]
    for place in range(1, length):
        more, longer = random.integers(len(alone), size=n), lengths > place
        bits = np.where(longer[:, None], bits & problem.literals.bits[more], bits)
        parts = parts + np.where(longer, scorer.parts[more], 0.0)
    for start in range(0, n, len(alone)):  # in passes as large as those of the others, so that as many rules are kept
        scorer.score(bits[start : start + len(alone)], parts[start : start + len(alone)])
    return scorer.best()


def greedy(problem: Problem, length: int, budget: int, seed: int) -> list[Scored]:
    """Adds the best literal until none helps; starts from the best one, then from others drawn by their reward."""
    random, scorer = np.random.default_rng(seed), Scorer(problem)
    alone = np.maximum(scorer.extensions(()), 0.0)
    start, seen = int(alone.argmax()), set[Rule]()
    while True:
        rule, reward = (start,), float(alone[start])
        alone[start] = 0.0
        while len(rule) < length and rule not in seen:
            if scorer.evaluations + len(problem.literals) > budget:
                return scorer.best()
            seen.add(rule)
            extended = scorer.extensions(rule)
            if extended.max() <= reward:
                break
            reward = float(extended.max())
            rule = tuple(sorted((*rule, int(extended.argmax()))))
        if not alone.any():
            return scorer.best()
        start = int(random.choice(len(alone), p=alone / alone.sum()))


def beam(problem: Problem, length: int, budget: int, first_share: float) -> list[Scored]:
    """Extends the best rules of each length; the budget left after single literals goes by `first_share` to those of
    one literal, the rest evenly to longer ones."""
    scorer = Scorer(problem)
    level: dict[Rule, float] = {(i,): r for i, r in enumerate(scorer.extensions(()).tolist()) if r > 0}
    passes = (budget - scorer.evaluations) // len(problem.literals)
    for depth in range(1, length):
        later = length - 1 - depth
        share = first_share if depth == 1 and later else 1 / (later + 1)
        width = round(passes * share)
        passes -= width
        following: dict[Rule, float] = {}
        for rule in sorted(level, key=lambda rule: (-level[rule], rule))[:width]:
            extended = scorer.extensions(rule)
            for index in np.argsort(-extended, kind="stable")[: passes + 1].tolist():
                following[tuple(sorted((*rule, index)))] = float(extended[index])
        level = following
    return scorer.best()


def tree_search(problem: Problem, length: int, budget: int, seed: int) -> list[Scored]:
    """KDSL's search, ended before it would exceed the budget."""
    settings = SearchSettings(max_conditions=length, max_terms=1, patience=10**9, iterations=10**9)
    search = problem.search(settings, seed)
    search.run(within(budget))
    return distinct((found.reward, found.bits.tobytes()) for found in search.best())


def within(budget: int) -> Callable[[Search], bool]:
    """For `Search.run`: stop when one more iteration could exceed this many evaluations."""
    return lambda search: search.evaluations + len(search.literals) + search.settings.max_conditions > budget


def distinct(scored: Iterable[Scored]) -> list[Scored]:
    """The best rule for each set of samples, best first."""
    best: dict[bytes, float] = {}
    for reward, bits in scored:
        best[bits] = max(best.get(bits, 0.0), reward)
    return sorted(((reward, bits) for bits, reward in best.items()), reverse=True)
