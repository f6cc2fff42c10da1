"""Monte Carlo Tree Search for the rules of one label.

A state is a set of conditions, each a set of literals any of which may hold; the same set is the same node whatever
the order (a transposition table). Actions add a condition, add a negated condition, or add a term to a condition
(generalise); every node may also stop, which is its own reward. Selection is PUCT (Rosin 2011; Silver et al. 2017)
with the proposer's prior; backup mixes the mean with the maximum, since the best rule is wanted.

A small model may be asked inside (`kdsl.mining.inside`): its advice at a node with mixed hits changes the prior of the
children there, and its judgement of a rule is part of the reward.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.bitmaps import Bitmap, SampleWeights, count
from kdsl.mining.best_rules import BestRules, Found
from kdsl.mining.inside import InsideSearch
from kdsl.mining.literals import Literals
from kdsl.mining.node import Key, Node, extended, literals_of
from kdsl.mining.reward import Reward

Floats = NDArray[np.float64]

_TELLING = 2.0
"""Odds of the label where a term holds to its odds everywhere, from which the term may join an any-list."""
_JUDGED = 8
"""Of the children of a node, how many that may be among the best rules are judged."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How far to search; the constants are our choice, measured by `scripts/bench search`."""

    max_conditions: int = 3
    iterations: int = 2000
    max_terms: int = 2
    """Terms in one condition's any-list."""
    patience: int = 30
    """Iterations without a change among the best rules after which the search ends."""
    exploration: float = 2.0
    temperature: float = 0.1
    """How strongly a child's own reward and its potential shape its prior."""
    max_mix: float = 0.4
    """Weight of the maximum in a node's value; the rest is the mean."""
    cost: float = 0.5
    """False hits that a further condition or term has to outweigh."""
    negation_cost: float = 4.0
    """A negation has to outweigh so many times that: absence in a small sample is weak evidence."""
    max_children: int = 64
    widening: float = 2.0
    """A node with N visits has `widening · √N` children open."""
    pool: int = 200
    """How many of the best rules are kept for selection."""
    asked_visits: int = 5
    """Visits after which a node is worth a question to the small model."""


class Search:
    """One label against the rest. `run` may be called again to go on with a larger budget."""

    def __init__(
        self,
        literals: Literals,
        positives: Bitmap,
        samples: Bitmap,
        weights: SampleWeights,
        reward: Reward,
        settings: SearchSettings,
        seed: int,
        min_correct: float = 0.0,
        inside: InsideSearch | None = None,
    ) -> None:
        self.literals, self.settings = literals, settings
        self._inside = inside
        self.positives, self.samples = positives, samples
        self.weights, self.reward = weights, reward
        self._random = np.random.default_rng(seed)
        self._min_correct = min_correct
        self._same_field = self._literals_by_field()
        self._parts = np.where(literals.negated, settings.negation_cost, 1.0)
        """What each literal counts towards the length of a rule."""
        self.evaluations = 0
        """How many rules were scored so far."""
        self.iterations = 0
        self.nodes: dict[Key, Node] = {}
        self._best = BestRules(settings.pool)
        self._bounded = settings.max_terms == 1 and (inside is None or not inside.judges)
        """Whether rules only ever lose samples below a node, so that its correct hits bound the rewards there; a
        judgement may raise a reward."""
        self._last_change = 0
        self._unit = float(weights.count(samples)) / max(int(count(samples)), 1)
        """Mean weight of a sample."""
        hits, correct, rewards = self._counts(samples[None], 0.0)
        self.root = self._node((), samples, float(hits[0]), float(correct[0]), float(rewards[0]))

    def run(self, stop: Callable[["Search"], bool] | None = None) -> list[Found]:
        """Search until the iterations are used up, nothing changes any more, nothing is left, or `stop` says so.

        Returns the best rules seen, best first (ties by key, so that a seed gives the same rules).
        """
        settings = self.settings
        while self.iterations < settings.iterations and not self.root.exhausted:
            if self.iterations - self._last_change > settings.patience or (stop is not None and stop(self)):
                break
            self.iterations += 1
            self._iterate()
        return self.best()

    def best(self) -> list[Found]:
        """The best rules seen so far, best first."""
        return self._best.rules()

    def _iterate(self) -> None:
        path: list[tuple[Node, int, Node]] = []
        node = self.root
        while node.expanded and not node.exhausted:
            child = self._select(node)
            if child < 0:
                node.exhausted = True
                break
            below = self._child(node, child)
            path.append((node, child, below))
            node = below
        value = node.reward
        if not node.expanded:
            self._expand(node)
            value = max(value, float(node.child_counts[:, 2].max(initial=0.0)), self._rollout(node))
        node.visits += 1
        node.total += value
        node.best = max(node.best, value)
        for parent, child, below in reversed(path):
            parent.visits += 1
            parent.total += value
            parent.best = max(parent.best, value)
            mix = self.settings.max_mix
            parent.child_value[child] = mix * below.best + (1 - mix) * below.total / below.visits
            parent.child_visits[child] += 1
            if below.exhausted:
                parent.child_value[child] = -np.inf
                if np.isneginf(parent.child_value).all():
                    parent.exhausted = True
        for parent, _, _ in path[1:]:
            self._ask(parent)

    def _ask(self, node: Node) -> None:
        """Ask the small model about a node that is worth it, and sort its children anew by what it says."""
        if self._inside is None or node.asked or node.exhausted or node.visits < self.settings.asked_visits:
            return
        node.asked = True
        if not self._inside.worth_asking(node.bits, self.positives):
            return
        parts = self._specialised(node)
        if not parts:
            return
        _, literal, _, _, correct, reward = parts[0]
        promising = np.argsort(-(reward + self.reward(correct, correct)), kind="stable")
        candidates = literal[promising]
        heard = self._inside.advice(self.literals, node.key, node.bits, self.positives, self.samples, candidates)
        if heard is None:
            return
        if len(heard.literals) > len(self.literals):
            self.literals = heard.literals
            self._parts = np.append(self._parts, np.ones(len(self.literals) - len(self._parts)))
            self._same_field = self._literals_by_field()
        # What the model names is more than absence in a small sample: it costs what any condition costs.
        self._parts[heard.exceptions] = 1.0
        node.prior = heard.prior
        known = {
            child: (value, visits)
            for child, value, visits in zip(
                zip(node.child_position.tolist(), node.child_literal.tolist(), strict=True),
                node.child_value.tolist(),
                node.child_visits.tolist(),
                strict=True,
            )
        }
        self._expand(node)
        for index, child in enumerate(zip(node.child_position.tolist(), node.child_literal.tolist(), strict=True)):
            if child in known:
                node.child_value[index], node.child_visits[index] = known[child]

    def _select(self, node: Node) -> int:
        """The child with the largest PUCT score of those that progressive widening has opened; -1 if all are done."""
        opened = int(self.settings.widening * np.sqrt(node.visits + 1)) + 1
        while True:
            value = node.child_value[:opened]
            if not len(value):
                return -1
            if self._bounded:
                value = np.where(node.child_bound[:opened] > self._best.enough, value, -np.inf)
            explore = self.settings.exploration * node.child_prior[:opened] * np.sqrt(node.visits + 1)
            score = value + explore / (1 + node.child_visits[:opened])
            child = int(score.argmax())
            if not np.isneginf(score[child]):
                return child
            if opened >= len(node.child_value):
                return -1
            opened *= 2

    def child_key(self, node: Node, child: int) -> Key:
        """The rule that the action `child` of `node` leads to."""
        return extended(node.key, int(node.child_position[child]), int(node.child_literal[child]))

    def _child(self, node: Node, child: int) -> Node:
        key = self.child_key(node, child)
        known = self.nodes.get(key)
        if known is not None:
            return known
        hits, correct, reward = node.child_counts[child].tolist()
        return self._node(key, node.child_bits[child], hits, correct, reward)

    def _node(
        self, key: Key, bits: Bitmap, hits: Floats | float, correct: Floats | float, reward: Floats | float
    ) -> Node:
        node = Node(key, bits, float(np.squeeze(hits)), float(np.squeeze(correct)), float(np.squeeze(reward)))
        self.nodes[key] = node
        return node

    def _counts(self, bits: Bitmap, cost: Floats | float) -> tuple[Floats, Floats, Floats]:
        """Weighted hits, correct hits and rewards of rules with these bitmaps."""
        self.evaluations += len(bits)
        hits = self.weights.count(bits)
        correct = self.weights.count(bits & self.positives)
        return hits, correct, self.reward(correct, hits, cost * self._unit)

    def cost(self, key: Key) -> float:
        """What the rule's length costs, in false hits."""
        return self.settings.cost * max(self._length(key) - 1, 0.0)

    def _length(self, key: Key) -> float:
        return sum(float(self._parts[literal]) for condition in key for literal in condition)

    def _expand(self, node: Node) -> None:
        """Score every child of the node in one pass and keep the most promising."""
        parts = [*self._specialised(node), *self._generalised(node)]
        node.expanded = True
        if not parts:
            node.exhausted = True
            return
        position, literal, bits, hits, correct, reward = (
            np.concatenate(columns) for columns in zip(*parts, strict=True)
        )
        if self._inside is not None:
            reward = self._judged(node, position, literal, hits, correct, reward)
        potential = self.reward(correct, correct)  # what is left when every false hit is removed
        prior = np.log(self._prior(node)[literal]) * self.settings.temperature
        score = prior + (reward + potential) / 2
        better = np.flatnonzero(reward > self._best.floor)
        # Of rules that hold on the same samples, with the same reward, the one is kept that the small model advised.
        ties = np.zeros(len(better)) if node.prior is None else prior[better]
        first = np.lexsort((-ties, -reward[better]))
        for i in _distinct(bits, better[first], self.settings.max_children // 2):
            key = extended(node.key, int(position[i]), int(literal[i]))
            if self._best.add(Found(key, bits[i], float(hits[i]), float(correct[i]), float(reward[i]))):
                self._last_change = self.iterations
        if self._bounded:  # every child that may lead to one of the best rules is kept, so that the search is exact
            more = self.settings.cost * (self._length(node.key) + self._parts[literal])  # and a literal that is free
            bound = self.reward(correct, correct, more * self._unit)
            promising = np.flatnonzero(bound > self._best.enough)
            chosen = _distinct(bits, promising[np.argsort(-reward[promising], kind="stable")], len(promising))
            chosen = chosen[np.argsort(-score[chosen], kind="stable")]
            node.child_bound = bound[chosen]
        else:
            chosen = _distinct(bits, np.argsort(-score, kind="stable"), self.settings.max_children)
        if not len(chosen):
            node.exhausted = True
            return
        weight = np.exp((score[chosen] - score[chosen[0]]) / self.settings.temperature)
        node.child_position, node.child_literal = position[chosen], literal[chosen]
        node.child_bits = bits[chosen]
        node.child_prior = weight / weight.sum()
        node.child_counts = np.stack([hits[chosen], correct[chosen], reward[chosen]], axis=1)
        node.child_visits = np.zeros(len(chosen))
        node.child_value = reward[chosen].copy()
        if self._bounded and len(node.key) + 1 == self.settings.max_conditions:
            node.exhausted = True  # the children have none of their own, and their rewards are known

    def _prior(self, node: Node) -> Floats:
        """Of every literal, below this node; literals that were named after it was asked have their own."""
        prior = self.literals.prior
        return prior if node.prior is None else np.append(node.prior, prior[len(node.prior) :])

    def _judged(
        self,
        node: Node,
        position: NDArray[np.int64],
        literal: NDArray[np.int64],
        hits: Floats,
        correct: Floats,
        reward: Floats,
    ) -> Floats:
        """The rewards of a node's children with the judgement of those that may be among the best rules."""
        contenders = np.flatnonzero(reward > self._best.enough)
        contenders = contenders[np.argsort(-reward[contenders], kind="stable")[:_JUDGED]]
        keys = [extended(node.key, int(position[i]), int(literal[i])) for i in contenders]
        judged = reward.copy()
        judged[contenders] = self.valued(keys, hits[contenders], correct[contenders])
        return judged

    def valued(self, keys: Sequence[Key], hits: Floats, correct: Floats) -> Floats:
        """The rewards of rules with these counts, what the small model thinks of them included. [n_keys]"""
        costs = np.array([self.cost(key) for key in keys]) * self._unit
        if self._inside is None or not self._inside.judges or not len(keys):
            return self.reward(correct, hits, costs)
        evidence = self._inside.evidence([self.literals.written(key) for key in keys])
        return self.reward.with_evidence(correct, hits, costs, evidence)

    def _specialised(self, node: Node) -> list[tuple[NDArray[Any], ...]]:
        if len(node.key) >= self.settings.max_conditions:
            return []
        literals = self.literals
        bits = literals.bits & node.bits
        more = self._parts if node.key else np.zeros(len(literals))
        hits, correct, reward = self._counts(bits, self.cost(node.key) + self.settings.cost * more)
        removed = node.hits - hits
        # A condition must change something; a negation must remove the weight of two samples to be believed.
        valid = (correct > self._min_correct) & (removed > np.where(literals.negated, 1.9 * self._unit, 1e-9))
        valid[literals_of(node.key)] = False  # every literal once: otherwise two ways round lead back to an ancestor
        if not node.key:
            valid &= ~literals.negated  # a rule says what is there before what is not
        chosen = np.flatnonzero(valid)
        if not len(chosen):
            return []
        position = np.full(len(chosen), -1)
        return [(position, chosen, bits[chosen], hits[chosen], correct[chosen], reward[chosen])]

    def _generalised(self, node: Node) -> list[tuple[NDArray[Any], ...]]:
        parts: list[tuple[NDArray[Any], ...]] = []
        for position, condition in enumerate(node.key):
            if len(condition) >= self.settings.max_terms or condition[0] not in self._same_field:
                continue
            others = self._same_field[condition[0]]
            rest = self.samples
            for other, literals in enumerate(node.key):
                if other != position:
                    rest = rest & np.bitwise_or.reduce(self.literals.bits[list(literals)], axis=0)
            bits = node.bits | (rest & self.literals.bits[others])
            hits, correct, reward = self._counts(bits, self.cost(node.key) + self.settings.cost)
            valid = (correct > node.correct + 1e-9) & ~np.isin(others, literals_of(node.key))
            chosen = np.flatnonzero(valid)
            if len(chosen):
                where = np.full(len(chosen), position)
                parts.append((where, others[chosen], bits[chosen], hits[chosen], correct[chosen], reward[chosen]))
        return parts

    def _literals_by_field(self) -> dict[int, NDArray[np.int64]]:
        """For every plain literal of terms that speaks for the label itself those that may join it in one any-list:
        the ones on the same field that do so too."""
        bits = self.literals.bits & self.samples
        hits, right = self.weights.count(bits), self.weights.count(bits & self.positives)
        all_hits, all_right = (float(self.weights.count(each)) for each in (self.samples, self.positives))
        # Odds against odds. Beside other conditions a word that everybody says covers what they do not.
        telling = right * (all_hits - all_right) >= _TELLING * (hits - right) * all_right
        fields: dict[str, list[int]] = {}
        for index in np.flatnonzero(telling & ~self.literals.negated).tolist():
            if self.literals.has_terms(index):
                fields.setdefault(self.literals.field(index), []).append(index)
        arrays = {name: np.array(members) for name, members in fields.items()}
        return {index: arrays[name] for name, members in fields.items() for index in members}

    def _rollout(self, node: Node) -> float:
        """Random conditions by prior from the node to a full rule; the best reward on the way."""
        if not len(node.child_prior):
            return node.reward
        child = int(np.searchsorted(np.cumsum(node.child_prior), self._random.random() * (1 - 1e-12)))
        value = float(node.child_counts[child, 2])
        bits = node.child_bits[child]
        key = extended(node.key, int(node.child_position[child]), int(node.child_literal[child]))
        while len(key) < self.settings.max_conditions:
            literal = int(self._random.integers(len(self.literals)))
            bits = bits & self.literals.bits[literal]
            longer = extended(key, -1, literal)
            _, correct, reward = self._counts(bits[None], self.cost(longer))
            if correct[0] <= self._min_correct or longer == key:
                break
            key, value = longer, max(value, float(reward[0]))
        return value


def _distinct(bits: Bitmap, order: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The first indices of `order` whose samples differ, at most so many."""
    first: dict[bytes, int] = {}
    for index in order.tolist():
        if len(first) == most:
            break
        first.setdefault(bits[index].tobytes(), index)
    return np.fromiter(first.values(), dtype=np.int64)
