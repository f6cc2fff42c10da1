"""The search against the truth, where every rule can be looked at."""

import itertools

import numpy as np
import pytest

from kdsl.bitmaps import Bitmap, SampleWeights, count, pack
from kdsl.mining.literals import Literals
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search, SearchSettings
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition

N_SAMPLES, N_CONDITIONS = 200, 40
SEEDS = [0, 1]


def start(seed: int, **settings) -> Search:
    """Conditions that hold at random, a label that two of them and a negation tell with some errors."""
    random = np.random.default_rng(seed)
    holds = random.random((N_CONDITIONS, N_SAMPLES)) < random.uniform(0.1, 0.5, (N_CONDITIONS, 1))
    label = (holds[0] & holds[1] & ~holds[2]) ^ (random.random(N_SAMPLES) < 0.05)
    conditions = tuple(Condition(field="user", terms=(f"c{i}",)) for i in range(N_CONDITIONS))
    both = np.concatenate([holds, ~holds])
    literals = Literals(
        Vocabulary(conditions, pack(holds), N_SAMPLES),
        np.tile(np.arange(N_CONDITIONS), 2),
        np.repeat([False, True], N_CONDITIONS),
        pack(both),
        np.ones(len(both)),
    )
    samples = pack(np.ones(N_SAMPLES, dtype=bool))
    options = {"max_conditions": 2, "max_terms": 1, "patience": 10_000, **settings}
    weights = SampleWeights(np.ones(N_SAMPLES))
    return Search(literals, pack(label), samples, weights, Reward(label.sum()), SearchSettings(**options), seed)


def enumerated(search: Search, length: int) -> dict[bytes, float]:
    """Samples → largest reward of the rules that hit just these, of all rules with at most `length` conditions."""
    best: dict[bytes, float] = {}
    for size in range(1, length + 1):
        for rule in itertools.combinations(range(len(search.literals)), size):
            if not search.literals.negated[rule[0]]:  # plain literals stand first
                bits = np.bitwise_and.reduce(search.literals.bits[list(rule)], axis=0)
                best[bits.tobytes()] = max(best.get(bits.tobytes(), 0.0), score(search, rule, bits))
    return best


def score(search: Search, rule: tuple[int, ...], bits: Bitmap) -> float:
    length = sum(search.settings.negation_cost if search.literals.negated[literal] else 1 for literal in rule)
    correct = np.float64(count(bits & search.positives))
    return float(search.reward(correct, np.float64(count(bits)), search.settings.cost * (length - 1)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quarter_of_the_evaluations_finds_the_best_rule_of_two_conditions(seed):
    search = start(seed)
    truth = enumerated(search, 2)
    n_rules = N_CONDITIONS + N_CONDITIONS * (N_CONDITIONS - 1) // 2 + N_CONDITIONS * N_CONDITIONS
    found = search.run(stop=lambda search: search.evaluations + len(search.literals) > n_rules // 4)
    assert found[0].reward == pytest.approx(max(truth.values()))


@pytest.mark.parametrize("seed", SEEDS)
def test_with_one_term_a_condition_it_ends_by_itself_with_the_best_rules(seed):
    search = start(seed)
    found = search.run()
    assert search.root.exhausted
    best = sorted(enumerated(search, 2).values(), reverse=True)[:10]
    assert [rule.reward for rule in found[:10]] == pytest.approx(best)


def test_children_that_cannot_hold_one_of_the_best_rules_are_not_looked_at():
    search = start(0)
    search.run()
    assert search.iterations < N_CONDITIONS


def test_rules_found_hit_different_samples():
    found = start(0, max_terms=2, max_conditions=3, iterations=50).run()
    assert len({rule.bits.tobytes() for rule in found}) == len(found) > 20


def test_the_same_seed_gives_the_same_rules():
    first, second = (start(0, max_conditions=3, iterations=40).run() for _ in range(2))
    assert [(rule.key, rule.reward) for rule in first] == [(rule.key, rule.reward) for rule in second]
