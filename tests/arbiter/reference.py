"""What the arbiter should fit and decide, slowly: docs/arbiter.md one sample, one rule and one label at a time.

Nothing of `kdsl.arbiter` or `kdsl.mining` is used here; how samples are dealt out to parts comes from `kdsl.data`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from kdsl.data.splits import stratified_folds

Array = np.ndarray
Model = Sequence[Sequence[float]]
"""Probabilities: [n_samples, n_labels]."""
Conditions = tuple[tuple[tuple[str, ...], bool], ...]
"""Of each condition its terms, any of which may occur, and whether it is negated."""


@dataclass(frozen=True)
class Counts:
    """What a rule shows on some samples."""

    hits: int
    correct: int


@dataclass(frozen=True)
class Mined:
    """A rule mined without a fold, and what it showed on the other ones."""

    conditions: Conditions
    label: int
    counts: Counts


@dataclass(frozen=True)
class Known:
    """A rule of the rule base."""

    conditions: Conditions
    label: int
    status: str = "proposed"
    as_mined: bool = True
    """Whether it is what mining wrote; otherwise a person wrote it, edited it or gave it another label."""
    approved: bool = False
    """Whether a person accepted it as it stands."""
    measured: float | None = None
    """The reliability that mining wrote into the statistics."""

    @property
    def active(self) -> bool:
        return self.status in ("proposed", "accepted")


@dataclass(frozen=True)
class World:
    """Training samples, the model's out-of-fold probabilities, the rule base, and what mining left."""

    n_labels: int
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    folds: tuple[int, ...]
    model: tuple[tuple[float, ...], ...]
    base: tuple[Known, ...]
    mined: tuple[tuple[Mined, ...], ...]
    """For every fold."""
    bias: float
    coefficients: tuple[float, ...]
    """Of the reliability map, for the features in the order of docs/mining.md."""
    chance: bool = False

    def base_rate(self, label: int) -> float:
        return self.labels.count(label) / len(self.labels)


@dataclass(frozen=True)
class Worth:
    """A rule that may speak, and what it is worth."""

    conditions: Conditions
    label: int
    reliability: float
    approved: bool
    weight: float = 0.0


@dataclass(frozen=True)
class Fitted:
    """Parameters, and what their like gives for each sample when fitted without it."""

    a: float
    b_people: float
    b_mined: float
    losses: list[float]
    predicted: list[int]
    closest: float
    """How near the choice between two ways to fit was, in log loss."""
    steps: tuple[tuple[bool, bool, bool], ...] = ()
    """What was fitted, one after the other."""

    def f1(self, labels: Sequence[int]) -> float:
        return weighted_f1(self.predicted, labels)

    @property
    def log_loss(self) -> float:
        return sum(self.losses) / len(self.losses)


Said = tuple[list[float], list[float]]
"""Evidence for every label: of the rules that people accepted, and of the others."""


def holds(conditions: Conditions, text: str) -> bool:
    return all(any(term in text for term in terms) != negated for terms, negated in conditions)


def same(one: Conditions, other: Conditions) -> bool:
    def said(conditions: Conditions) -> set:
        return {(frozenset(terms), negated) for terms, negated in conditions}

    return said(one) == said(other)


def counted(world: World, conditions: Conditions, label: int, samples: Sequence[int]) -> Counts:
    hit = [i for i in samples if holds(conditions, world.texts[i])]
    return Counts(len(hit), sum(world.labels[i] == label for i in hit))


def log_odds(probability: float) -> float:
    bounded = min(max(probability, 0.001), 0.999)
    return math.log(bounded / (1 - bounded))


def likely_at_most(counts: Counts) -> float:
    """The upper end of the 95 % Wilson interval: the largest precision that is no more than 1.96 of its own standard
    errors away from the one that was seen."""
    if counts.hits == 0:
        return 1.0
    seen = counts.correct / counts.hits
    low, high = seen, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if middle - seen <= 1.96 * math.sqrt(middle * (1 - middle) / counts.hits):
            low = middle
        else:
            high = middle
    return low


def estimated(world: World, conditions: Conditions, counts: Counts) -> float:
    """What the reliability map gives; none is on meaning, no term here describes a
    label, nobody was asked about sense, and there are no unlabelled samples."""
    features = (
        math.log((counts.correct + 0.5) / (counts.hits - counts.correct + 0.5)),
        math.log(counts.hits + 0.5),
        len(conditions) - 1,
        sum(negated for _, negated in conditions),
        sum(len(set(terms)) - 1 for terms, _ in conditions),
        0.0,
        0.0,
        0.0,
        0.0,
    )
    total = world.bias + sum(c * f for c, f in zip(world.coefficients, features, strict=True))
    best = (counts.correct + 0.5) / (counts.hits + 0.5)  # no more than the rule showed
    return min(1 / (1 + math.exp(-total)), best)


def between(probability: float) -> float:
    return min(max(probability, 0.001), 0.999)


def lifted(reliability: float, approved: bool, counts: Counts) -> float:
    """Formula (5)."""
    return max(reliability, min(0.9, likely_at_most(counts))) if approved else reliability


def jaccard(world: World, one: Conditions, other: Conditions, samples: Sequence[int]) -> float:
    first = {i for i in samples if holds(one, world.texts[i])}
    second = {i for i in samples if holds(other, world.texts[i])}
    return len(first & second) / len(first | second) if first | second else 0.0


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def root(falls: Callable[[float], float]) -> float:
    low, high = -1000.0, 1000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if falls(middle) > 0 else (low, middle)
    return low


def shift(said: Sequence[float], reliability: float, mean: float) -> float:
    """Formula (2); `said` are the model's log odds of the label where the rule hits."""
    return root(lambda d: sum(reliability - sigmoid(each + d) for each in said) - (d - mean) / 1.0**2)


def mean_shift(rules: Sequence[tuple[list[float], float]], assumed: float) -> float:
    """What all accepted rules shift, each by the square root of its hits: (model's log odds, reliability) of each."""

    def falls(d: float) -> float:
        each = (sum(r - sigmoid(s + d) for s in said) / math.sqrt(len(said)) for said, r in rules if said)
        return sum(each) - (d - assumed) / 1.0**2

    return root(falls)


def heard(world: World, model: Model, rule: Worth, samples: Sequence[int]) -> list[float]:
    return [log_odds(model[i][rule.label]) for i in samples if holds(rule.conditions, world.texts[i])]


def mean_of(world: World, model: Model, rules: Sequence[Worth], samples: Sequence[int]) -> float:
    """Of the rules that people accepted."""
    known = [(heard(world, model, rule, samples), rule.reliability) for rule in rules if rule.approved]
    return mean_shift(known, math.log(0.8 / 0.2) - math.log(0.2 / 0.8))


def weighed(world: World, model: Model, rules: Sequence[Worth], samples: Sequence[int], mean: float) -> list[Worth]:
    """The rules with their weights, by the model's tempered probabilities of the samples."""

    def weight(rule: Worth) -> float:
        if rule.approved:
            return shift(heard(world, model, rule, samples), rule.reliability, mean)
        return log_odds(rule.reliability) - log_odds(world.base_rate(rule.label))

    return [replace(rule, weight=max(0.0, weight(rule))) for rule in rules]


def evidence(world: World, rules: Sequence[Worth], text: str, measured_on: Sequence[int]) -> Said:
    """Formula (4), for every label; overlaps are measured on the samples `measured_on`."""
    people, mined = [0.0] * world.n_labels, [0.0] * world.n_labels
    for label in range(world.n_labels):
        speaking = [r for r in rules if r.label == label and r.weight > 0 and holds(r.conditions, text)]
        in_order = sorted(speaking, key=lambda rule: (not rule.approved, -rule.weight))
        for k, rule in enumerate(in_order):
            said = [jaccard(world, rule.conditions, before.conditions, measured_on) for before in in_order[:k]]
            part = people if rule.approved else mined
            part[label] += rule.weight * (1 - max(said, default=0.0) ** 2)
    return people, mined


def rules_without(world: World, fold: int) -> list[Worth]:
    """Which rules may speak on the samples of a fold, and what they are worth without it."""
    others = [i for i in range(len(world.texts)) if world.folds[i] != fold]
    found: list[Worth] = []
    for mined in world.mined[fold]:
        known = [rule for rule in world.base if rule.label == mined.label and same(rule.conditions, mined.conditions)]
        estimate = estimated(world, mined.conditions, mined.counts)
        says_enough = log_odds(estimate) - log_odds(world.base_rate(mined.label)) >= 1
        enters = not world.chance and mined.counts.correct > 0 and says_enough
        status = known[0].status if known else "proposed"
        if status == "accepted" or (status == "proposed" and enters):
            approved = bool(known) and known[0].approved
            reliability = between(min(estimate, likely_at_most(mined.counts)))
            lift = lifted(reliability, approved, mined.counts)
            found.append(Worth(mined.conditions, mined.label, lift, approved))
    written = []
    for rule in world.base:
        again = any(rule.label == each.label and same(rule.conditions, each.conditions) for each in found)
        if rule.active and not rule.as_mined and not again:
            counts = counted(world, rule.conditions, rule.label, others)
            reliability = between(min(estimated(world, rule.conditions, counts), likely_at_most(counts)))
            lift = lifted(reliability, rule.approved, counts)
            written.append(Worth(rule.conditions, rule.label, lift, rule.approved))
    return found + written


def out_of_fold_evidence(world: World, model: Model, answered: Sequence[int] | None = None) -> tuple[Array, Array]:
    """Of the rules that people accepted, and of the others: [n_samples, n_labels]; `model` are the tempered
    probabilities, known of the samples `answered`."""
    everyone = range(len(world.texts)) if answered is None else answered
    said = []
    for text, fold in zip(world.texts, world.folds, strict=True):
        others = [i for i in range(len(world.texts)) if world.folds[i] != fold]
        known = [i for i in others if i in everyone]
        rules = rules_without(world, fold)
        rules = weighed(world, model, rules, known, mean_of(world, model, rules, known))
        said.append(evidence(world, rules, text, others))
    return np.array([each for each, _ in said]), np.array([each for _, each in said])


def merged(pool: tuple[float, float, float], model: Sequence[float], said: Said) -> list[float]:
    """Formula (1)."""
    a, b_people, b_mined = pool
    scores = [
        a * math.log(max(p, 1e-6)) + b_people * people + b_mined * mined
        for p, people, mined in zip(model, *said, strict=True)
    ]
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    return [power / sum(powers) for power in powers]


def tempered(a: float, model: Model) -> list[list[float]]:
    nothing = [0.0] * len(model[0])
    return [merged((a, 0.0, 0.0), row, (nothing, nothing)) for row in model]


Free = tuple[bool, bool, bool]
"""Whether a step fits a temperature, b_people and b_mined."""
PoolOf = tuple[float, float, float]


def fitted(model: Array, said: tuple[Array, Array], labels: Array, steps: Sequence[Free]) -> PoolOf:
    """The likeliest (a, b_people, b_mined), one step after the other; at first 1, 0 and 0."""
    pool = (1.0, 0.0, 0.0)
    for free in steps:
        pool = fitted_once(model, said, labels, free, pool)
    return pool


def fitted_once(model: Array, said: tuple[Array, Array], labels: Array, free: Free, before: PoolOf) -> PoolOf:
    """A temperature of the model, b_people up to 1, and b_mined: those that are free.

    Normal priors: log of the temperature around 0 with deviation 1, and a slight pull for each sample; b_people around
    1 and b_mined around 0, with deviation 0.5.
    """
    a, earlier, former = before
    known = a * np.log(np.maximum(model, 1e-6))

    def unpacked(values: Array) -> tuple[float, ...]:
        left = iter(values)
        log_a = next(left) if free[0] else 0.0
        b_people = min(abs(next(left)), 1.0) if free[1] else 0.0
        return log_a, b_people, abs(next(left)) if free[2] else 0.0

    def loss(values: Array) -> float:
        log_a, b_people, b_mined = unpacked(values)
        scores = math.exp(log_a) * known + (earlier + b_people) * said[0] + (former + b_mined) * said[1]
        scores -= scores.max(axis=1, keepdims=True)
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]
        total = losses.sum() + log_a**2 / 2 + 0.001 * len(labels) * log_a**2
        total += free[1] * (b_people - 1) ** 2 / 2 / 0.5**2 + free[2] * b_mined**2 / 2 / 0.5**2
        return float(total)

    if not any(free):
        return before
    start = [each for each, wanted in zip((0.0, 0.6, 0.3), free, strict=True) if wanted]
    options = {"xatol": 1e-4, "fatol": 1e-8, "maxiter": 4000}
    found = np.array(start)
    for _ in range(3):  # it may stop in a corner, which a fresh simplex leaves
        found = minimize(loss, found, method="Nelder-Mead", options=options).x
    log_a, b_people, b_mined = unpacked(found)
    return math.exp(log_a) * a, float(earlier + b_people), float(former + b_mined)


def weighted_f1(predicted: Sequence[int], labels: Sequence[int]) -> float:
    total = 0.0
    for label in set(labels):
        right = sum(p == t == label for p, t in zip(predicted, labels, strict=True))
        among = sum(p == label for p in predicted) + labels.count(label)
        total += labels.count(label) / len(labels) * 2 * right / among
    return total


ALONE = (((False, False, False),), ((True, False, False),))


def best(
    model: Array, said: tuple[Array, Array], labels: Array, seed: int, ways: Sequence[tuple[Free, ...]] = ALONE
) -> Fitted:
    """The best of several ways to fit the pool, each judged on parts that it was not fitted on."""
    n = len(labels)
    parts = stratified_folds(labels, min(5, n), seed)
    judged = []
    for steps in ways:
        losses, predicted = [0.0] * n, [0] * n
        for part in set(parts.tolist()):
            others = parts != part
            pool = fitted(model[others], (said[0][others], said[1][others]), labels[others], steps)
            for i in np.flatnonzero(parts == part):
                probabilities = merged(pool, model[i], (said[0][i], said[1][i]))
                losses[i] = -math.log(probabilities[labels[i]])
                predicted[i] = probabilities.index(max(probabilities))
        judged.append((fitted(model, said, labels, steps), losses, predicted, steps))
    nearness = abs(sum(judged[0][1]) - sum(judged[-1][1])) / n if len(judged) > 1 else math.inf
    pool, losses, predicted, steps = judged[0] if sum(judged[0][1]) <= sum(judged[-1][1]) else judged[-1]
    return Fitted(*pool, losses, predicted, nearness, steps)


def gain(after: Fitted, before: Fitted) -> tuple[float, float]:
    """How much smaller the log loss became, and the standard error of that."""
    gains = [b - a for b, a in zip(before.losses, after.losses, strict=True)]
    n, mean = len(gains), sum(gains) / len(gains)
    return mean, math.sqrt(sum((each - mean) ** 2 for each in gains) / n) / math.sqrt(n)


def choose(model: Array, said: tuple[Array, Array], labels: Array, seed: int) -> tuple[Fitted, Fitted, float]:
    """The model alone, what decides, and how near the nearest choice was: docs/arbiter.md, "When rules are left
    out"."""
    alone = best(model, said, labels, seed)
    near = [alone.closest]
    vouched = (*alone.steps, (False, True, False))
    count = False
    if said[0].any():
        people = best(model, said, labels, seed, [vouched])
        more, error = gain(people, alone)
        near += [abs(more + error), people.b_people]
        count = more >= -error and people.b_people > 0
        both = people if count else alone
    else:
        both = replace(alone, b_people=1.0, steps=vouched)
    if said[1].any():
        ways = [((free, both is not alone, True),) for free in (False, True)]
        if count:
            ways = [(*both.steps, (False, False, True))]
        everything = best(model, said, labels, seed, ways)
        more, _ = gain(everything, both)
        near += [everything.closest, abs(more), everything.b_mined]
        both = everything if more > 0 and everything.b_mined > 0 else both
    return alone, both, min(near)


def worth_now(world: World, rule: Known) -> float:
    """The reliability of a rule of the base, before any review."""
    if rule.as_mined and rule.measured is not None:
        return between(rule.measured)
    counts = counted(world, rule.conditions, rule.label, range(len(world.texts)))
    return between(min(estimated(world, rule.conditions, counts), likely_at_most(counts)))


def speaking(world: World, model: Model, answered: Sequence[int] | None = None) -> list[Worth]:
    """The active rules, lifted where people accepted them, with their weights; `model` as of
    `out_of_fold_evidence`."""
    everyone = range(len(world.texts))
    rules = [
        Worth(
            rule.conditions,
            rule.label,
            lifted(worth_now(world, rule), rule.approved, counted(world, rule.conditions, rule.label, everyone)),
            rule.approved,
        )
        for rule in world.base
        if rule.active
    ]
    known = everyone if answered is None else answered
    return weighed(world, model, rules, known, mean_of(world, model, rules, known))


def predicted(
    world: World, pool: tuple[float, float, float], model_a: float, model: Sequence[float], text: str
) -> tuple[list[float], list[float]]:
    """Probabilities of the model alone and of the merge for a new sample."""
    nothing = [0.0] * world.n_labels
    alone = merged((model_a, 0.0, 0.0), model, (nothing, nothing))
    counting = [r for r in speaking(world, tempered(model_a, world.model)) if pool[1 if r.approved else 2] > 0]
    if pool[1:] == (0.0, 0.0):
        return alone, alone
    return alone, merged(pool, model, evidence(world, counting, text, range(len(world.texts))))
