"""The tree search on literals small enough to enumerate."""

from itertools import combinations, permutations

import numpy as np
import pytest

from kdsl.bitmaps import SampleWeights, count, pack, unpack
from kdsl.mining.literals import Literals, choose_literals
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search, SearchSettings
from kdsl.mining.selection import rule_bits, select_rules
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Condition

N = 80


def search_of(flags: np.ndarray, positives: np.ndarray, settings: SearchSettings, seed: int = 0) -> Search:
    """A search over conditions that hold where `flags` [n_conditions, N] say."""
    conditions = tuple(Condition(field="last_user", terms=(f"词{i}",)) for i in range(len(flags)))
    vocabulary = Vocabulary(conditions, pack(flags), N)
    bits, samples = pack(positives), pack(np.ones(N, dtype=bool))
    weights, reward = SampleWeights(np.ones(N)), Reward(float(positives.sum()))
    literals = choose_literals(
        vocabulary, np.ones(len(flags)), bits, samples, weights, reward, 2, np.zeros(len(flags))
    )
    return Search(literals, bits, samples, weights, reward, settings, seed)


def random_problem(seed: int, n_conditions: int = 14) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    flags = source.random((n_conditions, N)) < source.uniform(0.2, 0.7, (n_conditions, 1))
    hidden = flags[0] & flags[1] & (flags[2] | (source.random(N) < 0.3))
    return flags, hidden ^ (source.random(N) < 0.03)


def rewards_by_enumeration(search: Search) -> list[float]:
    """The largest rewards, best first, of all conjunctions of up to two literals, one of them not negated; of those
    that hold on the same samples the best."""
    literals = search.literals
    best: dict[bytes, float] = {}
    for size in (1, 2):
        for chosen in combinations(range(len(literals)), size):
            if literals.negated[list(chosen)].all():
                continue
            key = tuple((literal,) for literal in chosen)
            bits = rule_bits(key, literals, search.samples)[None]
            hits, correct = search.weights.count(bits), search.weights.count(bits & search.positives)
            if literals.negated[list(chosen)].any() and count(literals.bits[chosen[0]]) - hits[0] < 2:
                continue  # what a single sample lacks is no evidence
            reward = float(search.reward(correct, hits, search.cost(key))[0])
            best[bits.tobytes()] = max(best.get(bits.tobytes(), 0.0), reward)
    return sorted(best.values(), reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_it_finds_what_enumeration_finds(seed):
    settings = SearchSettings(max_conditions=2, max_terms=1, iterations=500, patience=500)
    search = search_of(*random_problem(seed), settings)
    found = [rule.reward for rule in search.run()[:20]]
    assert found == pytest.approx(rewards_by_enumeration(search)[: len(found)])


def test_the_same_set_of_conditions_is_one_node_whatever_the_order():
    search = search_of(*random_problem(0), SearchSettings(max_terms=1, iterations=400, patience=400))
    search.run()
    reached = {}
    for node in search.nodes.values():
        for child in range(len(node.child_literal)):
            key = search.child_key(node, child)
            if key in search.nodes:
                reached.setdefault(key, set()).add(node.key)
    assert max(map(len, reached.values())) >= 2  # some rule was reached on two ways
    assert len({tuple(sorted(key)) for key in search.nodes}) == len(search.nodes)
    for key in search.nodes:
        assert all(other == key or other not in search.nodes for other in permutations(key))


def test_every_rule_it_reports_has_the_counts_of_its_samples():
    search = search_of(*random_problem(1), SearchSettings(iterations=200))
    found = search.run()
    assert found
    for rule in found:
        bits = rule_bits(rule.key, search.literals, search.samples)
        assert (bits == rule.bits).all()
        assert rule.hits == search.weights.count(bits[None])[0]
        assert rule.correct == search.weights.count((bits & search.positives)[None])[0]
        assert not search.literals.negated[[condition[0] for condition in rule.key]].all()
        assert len(rule.key) <= 3 and max(map(len, rule.key)) <= search.settings.max_terms


def test_best_first_and_the_same_for_the_same_seed():
    problem = random_problem(2)
    first, second = (search_of(*problem, SearchSettings(iterations=150), seed=4).run() for _ in range(2))
    assert [rule.key for rule in first] == [rule.key for rule in second]
    assert [rule.reward for rule in first] == sorted((rule.reward for rule in first), reverse=True)


def test_it_goes_on_where_it_stopped():
    search = search_of(*random_problem(3), SearchSettings(iterations=300, patience=300))
    search.run(stop=lambda search: search.iterations >= 20)
    assert search.iterations == 20
    before = search.best()[0].reward
    assert search.run()[0].reward >= before
    assert search.iterations > 20


def test_it_ends_when_nothing_is_left():
    flags = np.zeros((2, N), dtype=bool)
    flags[0, :10] = flags[1, 5:20] = True
    search = search_of(flags, flags[0], SearchSettings(iterations=10_000, patience=10_000))
    search.run()
    assert search.root.exhausted and search.iterations < 100


@pytest.mark.parametrize(("false_hits", "joins"), [(3, True), (6, True), (7, False)])
def test_a_word_joins_a_list_only_where_it_speaks_for_the_label_itself(false_hits, joins):
    """Beside a condition that leaves out its false hits any word covers more: 谢谢 would then stand in many lists."""
    positives = np.arange(N) < 20  # odds of 1 to 3 everywhere, of 4 to 6 where the second word holds
    flags = np.zeros((3, N), dtype=bool)
    flags[0, :16] = flags[0, 70:72] = True
    flags[1, 16:20] = flags[1, 60 : 60 + false_hits] = True
    flags[2, :40] = True  # leaves out the false hits of both
    search = search_of(flags, positives, SearchSettings(max_conditions=2, max_terms=2))
    condition = search.literals.condition
    lists = {frozenset(condition[[*part]].tolist()) for found in search.run() for part in found.key if len(part) > 1}
    assert (frozenset({0, 1}) in lists) == joins


def test_chosen_rules_complement_each_other():
    flags = np.zeros((6, N), dtype=bool)
    flags[:3, :20] = True  # three words on the same half of the positives, with different false hits
    flags[0, 60:61] = flags[1, 61:63] = flags[2, 63:66] = True
    flags[3, 20:34] = True  # another word on the rest
    positives = np.arange(N) < 34
    search = search_of(flags, positives, SearchSettings(max_conditions=1, max_terms=1))
    first, second = select_rules(search.run(), search, 2)
    assert first.key == ((0,),)
    assert not (first.bits & second.bits).any()
    covered = unpack((first.bits | second.bits)[None], N)[0]
    assert covered[positives].all()


def test_false_hits_that_chosen_rules_share_do_not_count_against_the_next():
    flags = np.zeros((3, N), dtype=bool)
    flags[0, :20] = flags[1, 20:34] = flags[2, 20:34] = True
    flags[:2, 60:64] = True  # the first two words err on the same samples
    flags[2, 70:75] = True  # the third on others, and on one more
    search = search_of(flags, np.arange(N) < 34, SearchSettings(max_conditions=1, max_terms=1))
    assert [found.key for found in select_rules(search.run(), search, 2)] == [((0,),), ((1,),)]


def test_of_rules_on_the_same_samples_one_is_chosen():
    flags = np.zeros((2, N), dtype=bool)
    flags[:, :20] = True
    search = search_of(flags, flags[0], SearchSettings(iterations=100))
    assert len(select_rules(search.run(), search, 12)) == 1


def test_a_condition_that_does_not_help_is_dropped():
    flags = np.zeros((2, N), dtype=bool)
    flags[0, :20] = True
    flags[1, :19] = flags[1, 40:60] = True
    search = search_of(flags, flags[0], SearchSettings(max_terms=1))
    longer = [found for found in search.run() if len(found.key) == 2]
    assert longer
    [chosen] = select_rules(longer, search, 1)
    assert chosen.key == ((0,),)


def test_negations_spare_the_positives_and_come_behind():
    flags = np.zeros((3, N), dtype=bool)
    flags[0, :40] = True
    flags[1, 20:40] = True
    flags[2, :10] = flags[2, 50:60] = True  # holds on half of the positives: its absence would lose them
    search = search_of(flags, np.arange(N) < 20, SearchSettings())
    literals: Literals = search.literals
    assert literals.condition[literals.negated].tolist() == [1]
    assert literals.negated.tolist() == sorted(literals.negated.tolist())
    assert literals.prior[literals.negated].max() < literals.prior[~literals.negated].min()


def test_a_prior_of_0_leaves_a_condition_out():
    flags, positives = random_problem(0)
    conditions = tuple(Condition(field="last_user", terms=(f"词{i}",)) for i in range(len(flags)))
    everyone = pack(np.ones(N, dtype=bool))
    prior = np.where(np.arange(len(flags)) == 0, 0.0, 1.0)
    literals = choose_literals(
        Vocabulary(conditions, pack(flags), N), prior, pack(positives), everyone, SampleWeights(np.ones(N)),
        Reward(float(positives.sum())), 2, np.zeros(len(flags)),
    )  # fmt: skip
    assert len(literals) and 0 not in literals.condition
