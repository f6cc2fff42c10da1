"""The reward of a rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.mining.reward import Reward
from kdsl.rules.statistics import wilson_interval

counts = st.tuples(st.integers(0, 40), st.integers(0, 40))
costs = st.sampled_from([0.0, 0.5, 2.0])


def reward(correct: float, false: float, cost: float = 0.0, positives: float = 40.0) -> float:
    return float(Reward(positives)(np.array([correct]), np.array([correct + false]), cost)[0])


@given(counts, costs)
def test_rewards_lie_between_0_and_1(pair, cost):
    assert -1e-9 <= reward(*pair, cost) <= 1


@given(counts, costs)
def test_one_more_correct_hit_is_better(pair, cost):
    correct, false = pair
    assert reward(min(correct + 1, 40), false, cost) >= reward(correct, false, cost)


@given(st.tuples(st.integers(1, 40), st.integers(0, 40)), costs)
def test_one_more_false_hit_is_worse(pair, cost):
    correct, false = pair
    assert reward(correct, false + 1, cost) < reward(correct, false, cost)


@given(st.tuples(st.integers(1, 40), st.integers(0, 40)))
def test_cost_counts_as_false_hits(pair):
    correct, false = pair
    assert reward(correct, false, 2.0) == pytest.approx(reward(correct, false + 2))


def test_many_hits_are_believed_more_than_few_at_the_same_precision():
    few, many = Reward(10.0, recall_power=0.0), Reward(10.0, recall_power=0.0)
    assert few(np.array([2.0]), np.array([2.0])) < many(np.array([10.0]), np.array([10.0]))


def test_it_is_the_wilson_bound_times_a_power_of_recall():
    low, _ = wilson_interval(9, 12, z=1.28)
    value = Reward(16.0, z=1.28, recall_power=0.5)(np.array([9.0]), np.array([12.0]))
    assert value[0] == pytest.approx(low * (9 / 16) ** 0.5)


def test_nothing_hit_is_worth_nothing():
    assert reward(0, 0) == pytest.approx(0)
