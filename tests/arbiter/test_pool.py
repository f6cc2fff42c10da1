"""The log-linear pool in numbers, and its fits beside slow ones."""

import numpy as np
import pytest
import reference

from kdsl.arbiter.pool import AS_IT_IS, Pool, fit_evidence, fit_pool, fit_temperature, log_loss

MODEL, NOTHING = np.array([[0.8, 0.2], [0.5, 0.5]]), np.zeros((2, 2))


@pytest.mark.parametrize(
    ("a", "b", "evidence", "odds"),
    [
        (1, 0, [9, 0], 4),  # b = 0: rules do not count
        (2, 0, [0, 0], 16),
        (0.5, 0, [0, 0], 2),
        (1, 1, [0, np.log(4)], 1),
        (1, 0.5, [np.log(4), 0], 8),
    ],
)
def test_odds_of_the_first_label(a, b, evidence, odds):
    [first, second] = Pool(a, b).probabilities(np.array([[0.8, 0.2]]), np.array([evidence]))[0]
    assert first + second == pytest.approx(1)
    assert first / second == pytest.approx(odds)


def test_a_probability_of_0_counts_as_a_millionth():
    [first, second] = Pool(1, 0).probabilities(np.array([[1.0, 0.0]]), np.zeros((1, 2)))[0]
    assert first / second == pytest.approx(1e6)
    assert Pool(1, 0).probabilities(np.array([[1 - 2e-6, 2e-6]]), np.zeros((1, 2)))[0][1] == pytest.approx(2e-6)


def test_as_it_is_are_the_models_own_probabilities():
    assert AS_IT_IS.probabilities(MODEL, np.ones((2, 2)) * [[3, 0]]) == pytest.approx(MODEL)


def test_log_loss_is_that_of_each_samples_own_label():
    assert log_loss(AS_IT_IS, MODEL, NOTHING, np.array([1, 0])) == pytest.approx([-np.log(0.2), -np.log(0.5)])


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Model, evidence and labels; both know something."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, 3, n)
    scores = source.normal(size=(n, 3)) + source.choice([0.5, 2.0]) * np.eye(3)[labels]
    model = np.exp(2 * scores) / np.exp(2 * scores).sum(axis=1, keepdims=True)
    return model, (source.random((n, 3)) < 0.3) * 2.0 + np.eye(3)[labels] * (source.random((n, 1)) < 0.5), labels


@pytest.mark.parametrize("n", [5, 60])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("fit", "free_a", "free_b"),
    [(fit_pool, True, True), (fit_evidence, False, True), (fit_temperature, True, False)],
)
def test_a_and_b_are_those_of_the_slow_fit(fit, free_a, free_b, seed, n):
    model, evidence, labels = drawn(seed, n)
    pool = fit(model, evidence, labels)
    assert (pool.a, pool.b) == pytest.approx(reference.fitted(free_a, free_b)(model, evidence, labels), rel=0.01)
    assert free_a or pool.a == 1
    assert free_b or pool.b == 0
