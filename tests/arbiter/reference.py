"""What the arbiter should fit and decide, slowly: docs/arbiter.md one sample, one rule and one label at a time.

Nothing of `kdsl.arbiter` or `kdsl.mining` is used here; how samples are dealt out to parts comes from `kdsl.data`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from kdsl.data.splits import stratified_folds

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


@dataclass(frozen=True)
class Compared:
    alone: tuple[float, float]
    """(a, b) of the model alone."""
    pool: tuple[float, float]
    gains: list[float]
    alone_log_loss: float
    alone_f1: float
    pool_log_loss: float
    pool_f1: float
    closest: float
    """How near the nearest choice between two fits was, in log loss."""


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


def weight(reliability: float, base_rate: float) -> float:
    """Formula (2)."""
    return max(0.0, log_odds(reliability) - log_odds(base_rate))


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
    label, and nobody was asked about sense."""
    features = (
        math.log((counts.correct + 0.5) / (counts.hits - counts.correct + 0.5)),
        math.log(counts.hits + 0.5),
        len(conditions) - 1,
        sum(negated for _, negated in conditions),
        sum(len(set(terms)) - 1 for terms, _ in conditions),
        0.0,
        0.0,
        0.0,
    )
    total = world.bias + sum(c * f for c, f in zip(world.coefficients, features, strict=True))
    return 1 / (1 + math.exp(-total))


def between(probability: float) -> float:
    return min(max(probability, 0.001), 0.999)


def lifted(reliability: float, approved: bool, counts: Counts) -> float:
    """Formula (4)."""
    return max(reliability, min(0.8, likely_at_most(counts))) if approved else reliability


def jaccard(world: World, one: Conditions, other: Conditions, samples: Sequence[int]) -> float:
    first = {i for i in samples if holds(one, world.texts[i])}
    second = {i for i in samples if holds(other, world.texts[i])}
    return len(first & second) / len(first | second) if first | second else 0.0


def evidence(world: World, rules: Sequence[Worth], text: str, measured_on: Sequence[int]) -> list[float]:
    """Formula (3), for every label; overlaps are measured on the samples `measured_on`."""
    result = []
    for label in range(world.n_labels):
        speaking = [rule for rule in rules if rule.label == label and holds(rule.conditions, text)]
        heaviest_first = sorted(speaking, key=lambda rule: -weight(rule.reliability, world.base_rate(label)))
        total = 0.0
        for k, rule in enumerate(heaviest_first):
            said = [jaccard(world, rule.conditions, before.conditions, measured_on) for before in heaviest_first[:k]]
            total += weight(rule.reliability, world.base_rate(label)) * (1 - max(said, default=0.0) ** 2)
        result.append(total)
    return result


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


def out_of_fold_evidence(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Of all rules, and of the accepted ones: [n_samples, n_labels]."""
    everything, accepted = [], []
    for text, fold in zip(world.texts, world.folds, strict=True):
        others = [i for i in range(len(world.texts)) if world.folds[i] != fold]
        rules = rules_without(world, fold)
        everything.append(evidence(world, rules, text, others))
        accepted.append(evidence(world, [rule for rule in rules if rule.approved], text, others))
    return np.array(everything), np.array(accepted)


def merged(a: float, b: float, model: Sequence[float], said: Sequence[float]) -> list[float]:
    """Formula (1)."""
    scores = [a * math.log(max(p, 1e-6)) + b * e for p, e in zip(model, said, strict=True)]
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    return [power / sum(powers) for power in powers]


def log_losses(a: float, b: float, model: np.ndarray, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    scores = a * np.log(np.maximum(model, 1e-6)) + b * said
    scores -= scores.max(axis=1, keepdims=True)
    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, float]]


def fitted(free_a: bool, free_b: bool) -> Fit:
    """Makes (a, b) most likely, with both pulls on their logarithms; a is 1 and b is 0 where they are not free."""

    def fit(model: np.ndarray, said: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        def unpacked(logs: np.ndarray) -> tuple[float, float, float]:
            log_a = logs[0] if free_a else 0.0
            b = math.exp(logs[-1]) if free_b else 0.0
            return log_a, math.exp(log_a), b

        def loss(logs: np.ndarray) -> float:
            log_a, a, b = unpacked(logs)
            pulls = 0.001 * sum(log**2 for log in logs) + log_a**2 / 2 / len(labels)
            return float(log_losses(a, b, model, said, labels).mean() + pulls)

        start = [0.0] * free_a + [-1.0] * free_b
        if not start:
            return 1.0, 0.0
        logs = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-11}).x
        _, a, b = unpacked(logs)
        return a, b

    return fit


def weighted_f1(predicted: Sequence[int], labels: Sequence[int]) -> float:
    total = 0.0
    for label in set(labels):
        right = sum(p == t == label for p, t in zip(predicted, labels, strict=True))
        among = sum(p == label for p in predicted) + labels.count(label)
        total += labels.count(label) / len(labels) * 2 * right / among
    return total


def compare(model: np.ndarray, said: np.ndarray, labels: np.ndarray, seed: int) -> Compared:
    """The merge against the model alone, each by the better of its fits, judged on parts that it was not fitted on."""
    n = len(labels)
    parts = stratified_folds(labels, min(5, n), seed)
    nearest = []

    def best(*fits: Fit) -> tuple[tuple[float, float], np.ndarray, list[int]]:
        judged = []
        for fit in fits:
            losses, predicted = np.zeros(n), [0] * n
            for part in set(parts.tolist()):
                others = parts != part
                a, b = fit(model[others], said[others], labels[others])
                for i in np.flatnonzero(parts == part):
                    probabilities = merged(a, b, model[i], said[i])
                    losses[i] = -math.log(probabilities[labels[i]])
                    predicted[i] = probabilities.index(max(probabilities))
            judged.append((losses, predicted))
        means = [losses.mean() for losses, _ in judged]
        nearest.append(abs(means[0] - means[1]))
        first = 0 if means[0] <= means[1] else 1
        return fits[first](model, said, labels), *judged[first]

    alone, before, predicted_before = best(fitted(False, False), fitted(True, False))
    pool, after, predicted_after = best(fitted(False, True), fitted(True, True))
    truth = labels.tolist()
    return Compared(
        alone,
        pool,
        (before - after).tolist(),
        float(before.mean()),
        weighted_f1(predicted_before, truth),
        float(after.mean()),
        weighted_f1(predicted_after, truth),
        min(nearest),
    )


def choose(
    model: np.ndarray, everything: np.ndarray, accepted: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[str, tuple[float, float], Compared, float]:
    """Which rules count, (a, b), the comparison it rests on, and how near the nearest choice was: the table of
    docs/arbiter.md, "When rules are left out"."""
    of_all = compare(model, everything, labels, seed)
    gain = sum(of_all.gains) / len(labels)
    near = min(of_all.closest, abs(gain)) if everything.any() else of_all.closest
    if everything.any() and gain > 0:
        return "all", of_all.pool, of_all, near
    if not accepted.any():
        return "accepted", (of_all.alone[0], 0.5), of_all, near
    of_accepted = compare(model, accepted, labels, seed)
    gain = sum(of_accepted.gains) / len(labels)
    error = math.sqrt(sum((each - gain) ** 2 for each in of_accepted.gains) / len(labels)) / math.sqrt(len(labels))
    near = min(near, of_accepted.closest, abs(gain + error))
    if gain >= -error:
        return "accepted", of_accepted.pool, of_accepted, near
    return "none", (of_all.pool[0], 0.0), of_all, near


def worth_now(world: World, rule: Known) -> float:
    """The reliability of a rule of the base, before any review."""
    if rule.as_mined and rule.measured is not None:
        return between(rule.measured)
    counts = counted(world, rule.conditions, rule.label, range(len(world.texts)))
    return between(min(estimated(world, rule.conditions, counts), likely_at_most(counts)))


def speaking(world: World, listens_to: str) -> list[Worth]:
    """The rules that count in predictions, lifted where people accepted them."""
    everyone = range(len(world.texts))
    return [
        Worth(
            rule.conditions,
            rule.label,
            lifted(worth_now(world, rule), rule.approved, counted(world, rule.conditions, rule.label, everyone)),
            rule.approved,
        )
        for rule in world.base
        if rule.active and (listens_to == "all" or (listens_to == "accepted" and rule.approved))
    ]


def predicted(
    world: World, listens_to: str, a: float, b: float, model_a: float, model: Sequence[float], text: str
) -> tuple[list[float], list[float]]:
    """Probabilities of the model alone and of the merge for a new sample."""
    nothing = [0.0] * world.n_labels
    alone = merged(model_a, 0.0, model, nothing)
    if listens_to == "none":
        return alone, alone
    said = evidence(world, speaking(world, listens_to), text, range(len(world.texts)))
    return alone, merged(a, b, model, said)
