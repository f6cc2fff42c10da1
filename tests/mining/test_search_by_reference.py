"""The search does what a slow reading of docs/mining.md does, step by step, whatever the literals and the settings."""

import random

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from search_reference import Literal, SlowSearch

from kdsl.bitmaps import SampleWeights, pack, unpack
from kdsl.mining.literals import Literals
from kdsl.mining.reward import Reward
from kdsl.mining.search import Search, SearchSettings
from kdsl.mining.vocabulary import Vocabulary
from kdsl.rules.condition import Comparison, Condition

FIELDS = ["user", "user", "user", "ocr", "ocr", "image.aspect"]


def problem(seed: int) -> SlowSearch:
    source = random.Random(seed)
    n = source.choice([12, 40, 70])
    weights = [source.choice([0.25, 0.5, 1.0]) for _ in range(n)] if source.random() < 0.4 else [1.0] * n
    plain = [
        Literal(
            frozenset(i for i in range(n) if source.random() < share),
            source.choice([1.0, 1.0, 2.0, 3.0]),
            field=source.choice(FIELDS),
        )
        for share in [source.uniform(0.15, 0.6) for _ in range(source.randint(1, 14))]
    ]
    if source.random() < 0.5:
        plain.append(plain[0])  # the same samples in other words
    hidden = plain[0].samples & (plain[1].samples if len(plain) > 1 else plain[0].samples)
    positives = frozenset(i for i in range(n) if (i in hidden) != (source.random() < 0.06)) | {0}
    chosen = source.sample(plain, source.randint(0, min(4, len(plain))))
    negated = [Literal(frozenset(range(n)) - each.samples, 0.3, True, each.field) for each in chosen]
    options = SearchSettings(
        max_conditions=source.choice([1, 2, 3, 3]),
        iterations=source.choice([1, 5, 30, 60]),
        max_terms=source.choice([1, 1, 2, 2, 3]),
        patience=source.choice([3, 10, 40]),
        exploration=source.choice([0.0, 0.5, 2.0, 2.0]),
        temperature=source.choice([0.1, 0.3]),
        max_mix=source.choice([0.0, 0.4, 1.0]),
        cost=source.choice([0.5, 1.0]),
        negation_cost=source.choice([1.0, 4.0]),
        max_children=source.choice([6, 7, 64]),
        widening=source.choice([0.5, 1.0, 2.0]),
        pool=source.choice([3, 20, 200]),
    )
    return SlowSearch([*plain, *negated], positives, weights, options, seed % 1000, source.choice([0.0, 0.0, 1.5]))


def fast(slow: SlowSearch) -> Search:
    n = len(slow.weights)

    def bits(samples: frozenset[int]) -> np.ndarray:
        return pack(np.isin(np.arange(n), list(samples)))

    conditions = tuple(
        Condition(field=each.field, comparison=Comparison(op=">", value=i))
        if each.field == "image.aspect"
        else Condition(field=each.field, terms=(f"词{i}",))
        for i, each in enumerate(slow.literals)
    )
    held = np.stack([bits(each.samples) for each in slow.literals])
    literals = Literals(
        Vocabulary(conditions, held, n),
        np.arange(len(held)),
        np.array([each.negated for each in slow.literals]),
        held,
        np.array([each.prior for each in slow.literals]),
    )
    reward = Reward(sum(slow.weights[i] for i in slow.positives))
    return Search(
        literals, bits(slow.positives), bits(slow.everyone), SampleWeights(np.array(slow.weights)), reward,
        slow.settings, slow.seed, slow.least_correct,
    )  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.integers(0, 2**32 - 1))
def test_every_step_is_the_references(seed):
    slow = problem(seed)
    search = fast(slow)
    n = len(slow.weights)
    found, expected = search.run(), slow.run()
    assert [(rule.key, frozenset(np.flatnonzero(unpack(rule.bits, n)).tolist())) for rule in found] == [
        (rule.key, rule.samples) for rule in expected
    ]
    assert [(rule.hits, rule.correct) for rule in found] == [(rule.hits, rule.correct) for rule in expected]
    assert [rule.reward for rule in found] == pytest.approx([rule.reward for rule in expected])
    assert (search.iterations, search.evaluations) == (slow.iterations, slow.evaluations)
    assert search.root.exhausted == slow.root.done
    assert list(search.nodes) == list(slow.states)
    for key, node in search.nodes.items():
        state = slow.states[key]
        assert (node.visits, node.hits, node.correct) == (state.visits, state.hits, state.correct)
        assert (node.best, node.total) == pytest.approx((state.best, state.total))
        children = state.children or []
        assert [search.child_key(node, i) for i in range(len(node.child_literal))] == [each.key for each in children]
        assert node.child_prior.tolist() == pytest.approx([each.prior for each in children])
        assert node.child_visits.tolist() == [each.visits for each in children]
