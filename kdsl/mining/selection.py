"""From everything a search has seen to candidates that complement each other."""

from collections.abc import Sequence

import numpy as np

from kdsl.bitmaps import Bitmap, contains, members
from kdsl.mining.best_rules import Found
from kdsl.mining.literals import Literals
from kdsl.mining.node import Key
from kdsl.mining.search import Search

REPEAT_DISCOUNT = 0.5
"""A positive already covered k times counts 0.5^k for the next rule: some redundancy makes a rule base robust."""
SHARED_DISCOUNT = 0.5
"""A rule all of whose terms stand in rules chosen before is worth this share: the same words again say little."""


def select_rules(found: Sequence[Found], search: Search, n_rules: int) -> list[Found]:
    """At most `n_rules` of `found`, pruned, without two that hit the same samples, in the order they were chosen.

    Greedy: each time the rule with the largest reward, discounted for positives and terms of rules chosen before.
    """
    # Of rules that hit the same samples the shortest speaks best.
    distinct: dict[bytes, Found] = {}
    for rule in sorted(found, key=lambda rule: (sum(map(len, rule.key)), rule.key)):
        distinct.setdefault(rule.bits.tobytes(), rule)
    pool = sorted(distinct.values(), key=lambda rule: (-rule.reward, rule.key))
    if not pool:
        return []
    # Of all samples only those that have the label are looked at: among many labels they are few.
    rows = members(search.positives)
    covers = np.stack([contains(rule.bits, rows) for rule in pool]).astype(np.float64)
    literals = np.zeros((len(pool), len(search.literals)))
    for index, rule in enumerate(pool):
        literals[index, [literal for condition in rule.key for literal in condition]] = 1.0
    rewards = np.array([rule.reward for rule in pool])
    sizes, lengths = np.maximum(covers.sum(axis=1), 1.0), literals.sum(axis=1)
    new_positive, new_literal = np.ones(covers.shape[1]), np.ones(literals.shape[1])
    chosen: dict[bytes, Found] = {}
    left = np.ones(len(pool), dtype=bool)
    while len(chosen) < n_rules and left.any():
        gain = rewards * (covers @ new_positive / sizes) * (literals @ new_literal / lengths)
        best = int(np.where(left, gain, -1.0).argmax())
        left[best] = False
        rule = _pruned(pool[best], search)
        chosen.setdefault(rule.bits.tobytes(), rule)
        new_positive[covers[best] > 0] *= REPEAT_DISCOUNT
        new_literal[literals[best] > 0] *= SHARED_DISCOUNT
    return list(chosen.values())


def _pruned(rule: Found, search: Search) -> Found:
    """The rule without the conditions and terms that do not help: dropped as long as the reward does not fall."""
    while True:
        shorter = [
            found for key in _without_one(rule.key) if (found := _scored(key, search)) and found.reward >= rule.reward
        ]
        if not shorter:
            return rule
        rule = max(shorter, key=lambda found: (found.reward, found.key))


def _without_one(key: Key) -> list[Key]:
    """The rule without one condition, or without one term of an any-list."""
    keys = []
    for index, condition in enumerate(key):
        rest = key[:index] + key[index + 1 :]
        if rest:
            keys.append(rest)
        if len(condition) > 1:
            keys += [
                tuple(sorted({*rest, tuple(term for term in condition if term != dropped)})) for dropped in condition
            ]
    return keys


def _scored(key: Key, search: Search) -> Found | None:
    """The rule with its counts and reward; None for one of negations only."""
    if all(search.literals.negated[condition[0]] for condition in key):
        return None
    bits = rule_bits(key, search.literals, search.samples)
    hits, correct = search.weights.count(bits[None]), search.weights.count((bits & search.positives)[None])
    reward = search.valued([key], hits, correct)
    return Found(key, bits, float(hits[0]), float(correct[0]), float(reward[0]))


def rule_bits(key: Key, literals: Literals, samples: Bitmap) -> Bitmap:
    """The samples that a rule holds on."""
    bits = samples
    for condition in key:
        bits = bits & np.bitwise_or.reduce(literals.bits[list(condition)], axis=0)
    return bits
