"""What accepted rules add to the model, in numbers that one can check by hand and beside a slow reference."""

import numpy as np
import pytest
import reference

from kdsl.arbiter.shift import EXPECTED_SHIFT, Heard, mean_shift, shifts


def heard(*said: list[float]) -> Heard:
    """For every rule the model's log odds of its label where it hits."""
    rules = np.repeat(np.arange(len(said)), [len(each) for each in said])
    return Heard(np.array([value for each in said for value in each]), rules, len(said))


def drawn(seed: int) -> tuple[list[list[float]], np.ndarray]:
    """Four rules with 0 to 60 hits, and their precision."""
    source = np.random.default_rng(seed)
    return [source.normal(0, 3, n).tolist() for n in (0, 1, 12, 60)], source.uniform(0.05, 0.95, 4)


def test_what_is_heard_are_the_log_odds_of_the_rules_label_where_it_hits():
    model = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]])
    found = Heard.of(np.array([[True, False], [False, True], [True, True]]), np.array([0, 1]), model)
    by_rule = [sorted(found.log_odds[found.rules == rule]) for rule in (0, 1)]
    assert by_rule[0] == pytest.approx([-np.log(9), np.log(4)])
    assert by_rule[1] == pytest.approx([0, np.log(9)])
    assert found.hits.tolist() == [2, 2]


def test_nothing_known_leaves_what_is_assumed():
    assert pytest.approx(np.log(0.8 / 0.2) - np.log(0.2 / 0.8)) == EXPECTED_SHIFT
    assert mean_shift(heard([]), np.array([0.9]), np.array([True])) == pytest.approx(EXPECTED_SHIFT)
    assert shifts(heard([]), np.array([0.9]), 1.5).tolist() == [1.5]


def test_a_rule_that_is_right_as_often_as_the_model_expects_shifts_nothing():
    said = [np.log(9)] * 20
    assert shifts(heard(said), np.array([0.9]), 0.0)[0] == pytest.approx(0, abs=1e-6)


def test_many_hits_outweigh_the_mean_and_few_do_not():
    """The model gives the label one half; right four times in five is a shift of log 4 = 1.39."""
    few, many = (shifts(heard([0.0] * n), np.array([0.8]), 3.0)[0] for n in (1, 2000))
    assert many == pytest.approx(np.log(4), abs=0.01)
    assert few > 2.7


@pytest.mark.parametrize("seed", range(6))
def test_shifts_are_those_of_the_slow_reference(seed):
    said, precision = drawn(seed)
    found = shifts(heard(*said), precision, 1.2)
    assert found == pytest.approx(
        [reference.shift(each, r, 1.2) for each, r in zip(said, precision.tolist(), strict=True)], abs=1e-6
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_mean_is_that_of_the_accepted_rules_by_the_root_of_their_hits(seed):
    said, precision = drawn(seed)
    people = np.array([True, True, False, True])
    rules = [(said[i], float(precision[i])) for i in np.flatnonzero(people)]
    found = mean_shift(heard(*said), precision, people)
    assert found == pytest.approx(reference.mean_shift(rules, EXPECTED_SHIFT), abs=1e-6)


def test_extreme_log_odds_and_records_are_solved_too():
    found = shifts(heard([6.9] * 500, [-6.9] * 500), np.array([0.001, 0.999]), 0.0)
    assert found == pytest.approx([reference.shift([6.9] * 500, 0.001, 0), reference.shift([-6.9] * 500, 0.999, 0)])
