"""The log-linear pool in numbers, and its fits beside slow ones."""

from itertools import product

import numpy as np
import pytest
import reference

from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.pool import AS_IT_IS, MOST_PEOPLE, Pool, Step, fit_pool

MODEL = np.array([[0.8, 0.2], [0.5, 0.5]])


def evidence(people, mined) -> RuleEvidence:
    return RuleEvidence(np.array(people, dtype=float), np.array(mined, dtype=float))


@pytest.mark.parametrize(
    ("pool", "people", "mined", "odds"),
    [
        (Pool(1, 0, 0), [9, 0], [9, 0], 4),  # both b = 0: rules do not count
        (Pool(2, 0, 0), [0, 0], [0, 0], 16),
        (Pool(0.5, 0, 0), [0, 0], [0, 0], 2),
        (Pool(1, 1, 0), [0, np.log(4)], [9, 0], 1),
        (Pool(1, 0.5, 0), [np.log(4), 0], [9, 0], 8),
        (Pool(1, 0, 0.5), [9, 0], [np.log(4), 0], 8),
        (Pool(1, 1, 0.5), [np.log(2), 0], [np.log(4), 0], 16),
    ],
)
def test_odds_of_the_first_label(pool, people, mined, odds):
    [first, second] = pool.probabilities(np.array([[0.8, 0.2]]), evidence([people], [mined]))[0]
    assert first + second == pytest.approx(1)
    assert first / second == pytest.approx(odds)


def test_a_probability_of_0_counts_as_a_millionth():
    [first, second] = AS_IT_IS.probabilities(np.array([[1.0, 0.0]]), RuleEvidence.none(1, 2))[0]
    assert first / second == pytest.approx(1e6)
    assert AS_IT_IS.probabilities(np.array([[1 - 2e-6, 2e-6]]), RuleEvidence.none(1, 2))[0][1] == pytest.approx(2e-6)


def test_as_it_is_are_the_models_own_probabilities():
    assert AS_IT_IS.probabilities(MODEL, evidence([[3, 0]] * 2, [[0, 3]] * 2)) == pytest.approx(MODEL)


def drawn(seed: int, n: int) -> tuple[np.ndarray, RuleEvidence, np.ndarray]:
    """Model, evidence and labels; all know something."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, 3, n)
    scores = source.normal(size=(n, 3)) + source.choice([0.5, 2.0]) * np.eye(3)[labels]
    model = np.exp(2 * scores) / np.exp(2 * scores).sum(axis=1, keepdims=True)
    said = [
        (source.random((n, 3)) < 0.3) * 2.0 + np.eye(3)[labels] * (source.random((n, 1)) < known)
        for known in (0.5, 0.3)
    ]
    return model, RuleEvidence(*said), labels


@pytest.mark.parametrize("free", list(product((False, True), repeat=3)))
@pytest.mark.parametrize(("seed", "n"), [(0, 5), (1, 60)])
def test_what_is_fitted_is_what_the_slow_fit_gives_and_the_rest_stays(free, seed, n):
    model, said, labels = drawn(seed, n)
    temperature, people, mined = free
    pool = fit_pool(model, said, labels, [Step(*free)])
    slow = reference.fitted(model, tuple(said), labels, [free])
    assert (pool.a, pool.b_people, pool.b_mined) == pytest.approx(slow, rel=0.01, abs=1e-3)
    assert temperature or pool.a == 1
    assert people or pool.b_people == 0
    assert mined or pool.b_mined == 0


ONCE, PEOPLES, MINEDS, BOTH = Step(temperature=True), Step(people=True), Step(mined=True), Step(True, mined=True)


@pytest.mark.parametrize(
    "steps", [(ONCE, PEOPLES), (ONCE, PEOPLES, MINEDS), (PEOPLES, MINEDS), (PEOPLES, BOTH), (MINEDS, PEOPLES)]
)
@pytest.mark.parametrize(("seed", "n"), [(0, 8), (2, 60)])
def test_every_step_goes_on_from_the_one_before(steps, seed, n):
    model, said, labels = drawn(seed, n)
    pool = fit_pool(model, said, labels, steps)
    plain = [(step.temperature, step.people, step.mined) for step in steps]
    slow = reference.fitted(model, tuple(said), labels, plain)
    assert (pool.a, pool.b_people, pool.b_mined) == pytest.approx(slow, rel=0.01, abs=1e-3)
    if not any(step.temperature for step in steps[1:]):
        assert pool.a == fit_pool(model, said, labels, steps[:1]).a, "what rules say makes the model no less sure"


def test_where_samples_say_nothing_people_count_in_full_and_mining_not_at_all():
    """Evidence that is the same for all labels changes no probability: only the priors speak."""
    pool = fit_pool(
        np.full((40, 2), 0.5),
        evidence(np.ones((40, 2)), np.ones((40, 2))),
        np.arange(40) % 2,
        [Step(True, True, True)],
    )
    assert (pool.a, pool.b_people, pool.b_mined) == pytest.approx((1, 1, 0), abs=1e-6)


def of_one_part(people: bool, right: int, samples: int) -> float:
    """The fitted b of a part that speaks for one of two labels by 1 on all samples, `right` of them rightly."""
    said, nothing = np.tile([1.0, 0.0], (samples, 1)), np.zeros((samples, 2))
    labels = (np.arange(samples) >= right).astype(int)
    parts = RuleEvidence(said, nothing) if people else RuleEvidence(nothing, said)
    pool = fit_pool(np.full((samples, 2), 0.5), parts, labels, [Step(people=people, mined=not people)])
    return pool.b_people if people else pool.b_mined


def test_few_samples_leave_b_near_its_prior_and_many_move_it():
    """Right on three of five: the data alone would say b = log 1.5 = 0.41."""
    assert of_one_part(True, 3, 5) == pytest.approx(0.87, abs=0.02)
    assert of_one_part(False, 3, 5) == pytest.approx(0.10, abs=0.02)
    for people in (True, False):
        assert of_one_part(people, 600, 1000) == pytest.approx(0.41, abs=0.03)
        assert of_one_part(people, 0, 1000) == 0


def test_what_people_vouch_for_never_counts_more_than_was_measured():
    """Right on four of five: the data alone would say b = log 4 = 1.39."""
    assert of_one_part(True, 800, 1000) == MOST_PEOPLE == 1
    assert of_one_part(False, 800, 1000) == pytest.approx(1.37, abs=0.03)
