"""The rule search, slowly: docs/mining.md, section 3, with sets of samples and one rule at a time.

Nothing of `kdsl.mining.search` is used here but its settings; what a rule is worth comes from `kdsl.mining.reward`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kdsl.mining.reward import Reward
from kdsl.mining.search import SearchSettings

Key = tuple[tuple[int, ...], ...]
ELITE = 20
"""A change among so many best rules resets the patience."""


@dataclass(frozen=True)
class Literal:
    samples: frozenset[int]
    prior: float = 1.0
    negated: bool = False
    field: str = "user"


@dataclass
class Child:
    key: Key
    samples: frozenset[int]
    hits: float
    correct: float
    reward: float
    score: float
    bound: float
    prior: float = 0.0
    value: float = 0.0
    visits: int = 0


@dataclass
class State:
    key: Key
    samples: frozenset[int]
    hits: float
    correct: float
    reward: float
    visits: int = 0
    total: float = 0.0
    best: float = 0.0
    done: bool = False
    """Nothing is left below."""
    children: list[Child] | None = None


@dataclass
class SlowSearch:
    """`weights` is the weight of every sample, `positives` are those of the label."""

    literals: Sequence[Literal]
    positives: frozenset[int]
    weights: Sequence[float]
    settings: SearchSettings
    seed: int
    least_correct: float = 0.0
    evaluations: int = 0
    iterations: int = 0
    states: dict[Key, State] = field(default_factory=dict)
    seen: dict[frozenset[int], Child] = field(default_factory=dict)
    """Samples → the best rule that hits just these, of those that are remembered."""
    elite: list[float] = field(default_factory=list)
    floor: float = 0.0
    last_change: int = 0

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.everyone = frozenset(range(len(self.weights)))
        self.unit = sum(self.weights) / len(self.weights)
        self.worth = Reward(sum(self.weights[i] for i in self.positives))
        hits, correct, reward = self.counts(self.everyone, 0.0)
        self.root = self.states[()] = State((), self.everyone, hits, correct, reward)

    def run(self) -> list[Child]:
        while self.iterations < self.settings.iterations and not self.root.done:
            if self.iterations - self.last_change > self.settings.patience:
                break
            self.iterations += 1
            self.iterate()
        return self.best()

    def best(self) -> list[Child]:
        return sorted(self.seen.values(), key=lambda rule: (-rule.reward, rule.key))[: self.settings.pool]

    def counts(self, samples: frozenset[int], cost: float) -> tuple[float, float, float]:
        self.evaluations += 1
        hits = float(sum(self.weights[i] for i in samples))
        correct = float(sum(self.weights[i] for i in samples & self.positives))
        return hits, correct, self.reward(correct, hits, cost)

    def reward(self, correct: float, hits: float, cost: float) -> float:
        return float(self.worth(np.float64(correct), np.float64(hits), cost * self.unit))

    def length(self, key: Key) -> float:
        """Terms, a negated one counting more."""
        terms = [self.literals[i] for condition in key for i in condition]
        return sum(self.settings.negation_cost if literal.negated else 1.0 for literal in terms)

    def cost(self, key: Key) -> float:
        return self.settings.cost * max(self.length(key) - 1, 0.0)

    def iterate(self) -> None:
        state, path = self.root, []
        while state.children is not None and not state.done:
            child = self.select(state)
            if child is None:
                state.done = True
                break
            if child.key not in self.states:
                self.states[child.key] = State(child.key, child.samples, child.hits, child.correct, child.reward)
            path.append((state, child))
            state = self.states[child.key]
        value = state.reward
        if state.children is None:
            self.expand(state)
            value = max([value, *(child.reward for child in state.children), self.rollout(state)])
        for each in [state, *(above for above, _ in path)]:
            each.visits += 1
            each.total += value
            each.best = max(each.best, value)
        for above, child in reversed(path):
            below = self.states[child.key]
            mix = self.settings.max_mix
            child.value = mix * below.best + (1 - mix) * below.total / below.visits
            child.visits += 1
            if below.done:
                child.value = -math.inf
                above.done |= all(each.value == -math.inf for each in above.children)

    def select(self, state: State) -> Child | None:
        """PUCT among the children that are open; more are opened where these are done."""
        children = state.children
        opened = int(self.settings.widening * math.sqrt(state.visits + 1)) + 1
        while children:
            scores = []
            for child in children[:opened]:
                hopeless = self.bounded and child.bound <= self.enough
                explore = self.settings.exploration * child.prior * math.sqrt(state.visits + 1) / (1 + child.visits)
                scores.append(-math.inf if hopeless else child.value + explore)
            if max(scores) > -math.inf:
                return children[scores.index(max(scores))]
            if opened >= len(children):
                break
            opened *= 2
        return None

    @property
    def bounded(self) -> bool:
        """Rules only lose samples on the way down."""
        return self.settings.max_terms == 1

    @property
    def enough(self) -> float:
        return min(self.elite) if len(self.elite) == ELITE else 0.0

    def expand(self, state: State) -> None:
        children = self.with_one_more_condition(state) + self.with_one_more_term(state)
        state.children = []
        by_reward = sorted(
            [child for child in children if child.reward > self.floor], key=lambda child: -child.reward
        )  # fmt: skip
        for child in distinct(by_reward, self.settings.max_children // 2):
            self.remember(child)
        by_score = sorted(children, key=lambda child: -child.score)
        if self.bounded:
            hopeful = sorted([c for c in children if c.bound > self.enough], key=lambda child: -child.reward)
            state.children = sorted(distinct(hopeful, len(hopeful)), key=lambda child: -child.score)
        else:
            state.children = distinct(by_score, self.settings.max_children)
        if not state.children:
            state.done = True
            return
        powers = [math.exp((c.score - state.children[0].score) / self.settings.temperature) for c in state.children]
        for child, power in zip(state.children, powers, strict=True):
            child.prior, child.value = power / sum(powers), child.reward
        if self.bounded and len(state.key) + 1 == self.settings.max_conditions:
            state.done = True

    def child(self, key: Key, literal: int, samples: frozenset[int], cost: float, below: float) -> Child:
        hits, correct, reward = self.counts(samples, cost)
        potential = self.reward(correct, correct, 0.0)
        score = math.log(self.literals[literal].prior) * self.settings.temperature + (reward + potential) / 2
        return Child(key, samples, hits, correct, reward, score, self.reward(correct, correct, below))

    def with_one_more_condition(self, state: State) -> list[Child]:
        if len(state.key) >= self.settings.max_conditions:
            return []
        found = []
        for i, literal in enumerate(self.literals):
            more = self.settings.cost * (self.settings.negation_cost if literal.negated else 1.0)
            cost = self.cost(state.key) + (more if state.key else 0.0)
            below = self.settings.cost * self.length(state.key) + more  # and a further literal that is free
            key = tuple(sorted({*state.key, (i,)}))
            child = self.child(key, i, literal.samples & state.samples, cost, below)
            removed = state.hits - child.hits
            enough = removed > 1.9 * self.unit if literal.negated else removed > 0
            used = any(i in condition for condition in state.key)
            first = not state.key and literal.negated
            if child.correct > self.least_correct and enough and not used and not first:
                found.append(child)
        return found

    def with_one_more_term(self, state: State) -> list[Child]:
        found = []
        for place, condition in enumerate(state.key):
            first = self.literals[condition[0]]
            if len(condition) >= self.settings.max_terms or first.negated or not has_terms(first):
                continue
            if not self.speaks_for_it(first.samples):
                continue
            rest = self.everyone
            for other in state.key[:place] + state.key[place + 1 :]:
                rest = rest & frozenset().union(*(self.literals[i].samples for i in other))
            for i, literal in enumerate(self.literals):
                if literal.negated or literal.field != first.field or not self.speaks_for_it(literal.samples):
                    continue
                grown = tuple(sorted({*condition, i}))
                key = tuple(sorted({*state.key[:place], grown, *state.key[place + 1 :]}))
                samples = state.samples | (rest & literal.samples)
                child = self.child(key, i, samples, self.cost(state.key) + self.settings.cost, 0.0)
                if child.correct > state.correct and not any(i in each for each in state.key):
                    found.append(child)
        return found

    def speaks_for_it(self, samples: frozenset[int]) -> bool:
        """Whether the odds of the label among these samples are twice those among all."""
        hits, right = (sum(self.weights[i] for i in each) for each in (samples, samples & self.positives))
        everyone, positives = sum(self.weights), sum(self.weights[i] for i in self.positives)
        return right * (everyone - positives) >= 2 * (hits - right) * positives

    def rollout(self, state: State) -> float:
        """Random conditions from a child drawn by prior up to the limit."""
        if not state.children:
            return state.reward
        drawn, below = self.random.random() * (1 - 1e-12), 0.0
        for child in state.children:
            below += child.prior
            if below >= drawn:
                break
        key, samples, value = child.key, child.samples, child.reward
        while len(key) < self.settings.max_conditions:
            i = int(self.random.integers(len(self.literals)))
            samples = samples & self.literals[i].samples
            longer = tuple(sorted({*key, (i,)}))
            _, correct, reward = self.counts(samples, self.cost(longer))
            if correct <= self.least_correct or longer == key:
                break
            key, value = longer, max(value, reward)
        return value

    def remember(self, child: Child) -> None:
        known = self.seen.get(child.samples)
        if known is not None:
            if known.reward >= child.reward:
                return
            if known.reward in self.elite:
                self.elite.remove(known.reward)
        self.seen[child.samples] = child
        if len(self.elite) < ELITE or child.reward > min(self.elite):
            self.elite = sorted([*self.elite, child.reward], reverse=True)[:ELITE]
            self.last_change = self.iterations
        if len(self.seen) >= 2 * self.settings.pool:
            self.seen = {rule.samples: rule for rule in self.best()}
            self.floor = min(rule.reward for rule in self.seen.values())


def has_terms(literal: Literal) -> bool:
    return literal.field != "image.aspect"


def distinct(children: list[Child], most: int) -> list[Child]:
    """The first that hit different samples, at most so many."""
    first: dict[frozenset[int], Child] = {}
    for child in children:
        if len(first) < most:
            first.setdefault(child.samples, child)
    return list(first.values())
