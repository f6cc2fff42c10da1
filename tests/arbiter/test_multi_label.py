"""Several labels a sample: each by a pool of log odds, from a threshold of its own on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from kdsl.arbiter.choice import judge_alone
from kdsl.arbiter.evidence import RuleEvidence
from kdsl.arbiter.multi_label import BORROWED, decided, fit_thresholds, held_out, pairs, pooled, quality
from kdsl.arbiter.pool import Pool

chance = st.floats(0.01, 0.99)


@given(chance, st.floats(0.2, 3), st.floats(0, 1), st.floats(0, 4), st.floats(0, 1), st.floats(0, 4))
def test_each_label_is_a_pool_of_log_odds(p, a, b_people, people, b_mined, mined):
    evidence = RuleEvidence(np.array([[people, 0.0]]), np.array([[mined, 0.0]]))
    found = pooled(Pool(a, b_people, b_mined), np.array([[p, 0.5]]), evidence)
    assert found[0, 0] == pytest.approx(expit(a * logit(p) + b_people * people + b_mined * mined), abs=1e-6)
    assert found[0, 1] == pytest.approx(0.5)  # what speaks for a label says nothing of another


def test_a_pair_is_a_sample_and_a_label():
    model = np.array([[0.9, 0.2], [0.3, 0.6]])
    evidence = RuleEvidence(np.array([[1.0, 0.0], [0.0, 2.0]]), np.zeros((2, 2)))
    both, said, truth = pairs(model, evidence, np.array([[1, 0], [0, 1]]))
    assert np.allclose(both, [[0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    assert said.people.tolist() == [[0, 1], [0, 0], [0, 0], [0, 2]]
    assert truth.tolist() == [1, 0, 0, 1]


def test_what_a_pool_says_out_of_fold_is_of_samples_and_labels_again():
    random = np.random.default_rng(0)
    truth = (random.random((40, 3)) < 0.4).astype(np.int64)
    model = np.clip(0.8 * truth + 0.1 + 0.1 * random.random((40, 3)), 0.01, 0.99)
    both, _, flat = pairs(model, RuleEvidence.none(40, 3), truth)
    found = held_out(judge_alone(both, flat, 0), 3)
    assert found.shape == (40, 3)
    assert ((found > 0.5) == (truth == 1)).all()


def test_the_threshold_is_half_of_the_f1_to_expect():
    sure = np.tile([[1.0], [0.0]], (200, 1))
    assert fit_thresholds(sure).tolist() == [0.5]
    unsure = np.full((400, 1), 0.3)  # who says all of them is right at 0.3, finds all, and has F1 0.6 / 1.3
    assert fit_thresholds(unsure)[0] == pytest.approx(0.3 / 1.3, abs=1e-4)


@given(st.integers(0, 50))
def test_no_other_threshold_has_a_much_larger_f1_where_probabilities_mean_what_they_say(seed):
    random = np.random.default_rng(seed)
    p = random.beta(0.5, 1.5, size=4000)
    truth = random.random(4000) < p

    def f1(threshold: float) -> float:
        said = p >= threshold
        return 2 * (said & truth).sum() / (said.sum() + truth.sum())

    [found] = fit_thresholds(p[:, None])
    assert f1(found) >= max(map(f1, np.arange(0.05, 0.96, 0.01))) - 0.02
    assert f1(found) > f1(0.5)


def test_few_samples_tell_it_better_than_by_the_threshold_that_scores_best_on_them():
    random = np.random.default_rng(0)
    shapes = np.array([[0.5, 1.5], [0.3, 1.2], [1.0, 3.0], [0.2, 0.6]])  # of the probabilities of four labels

    def f1(p: np.ndarray, truth: np.ndarray, thresholds: np.ndarray) -> float:
        said = p >= thresholds
        return float(np.mean(2 * (said & truth).sum(axis=0) / np.maximum(said.sum(axis=0) + truth.sum(axis=0), 1)))

    def best_on(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
        grid = np.arange(0.05, 0.96, 0.01)
        return np.array(
            [max(grid, key=lambda t: f1(p[:, [label]], truth[:, [label]], np.array([t]))) for label in range(4)]
        )

    many = random.beta(*shapes.T, size=(20000, 4))
    held = random.random(many.shape) < many
    ours, fitted = [], []
    for _ in range(20):
        few = random.beta(*shapes.T, size=(40, 4))
        truth = random.random(few.shape) < few
        ours.append(f1(many, held, fit_thresholds(few)))
        fitted.append(f1(many, held, best_on(few, truth)))
    assert np.mean(ours) > np.mean(fitted) + 0.01
    assert np.mean(ours) > f1(many, held, np.full(4, 0.5)) + 0.02


def test_a_label_with_hardly_a_sample_has_the_threshold_of_all_together():
    common = np.tile([[0.9], [0.1]], (100, 1))
    rare = np.full((200, 1), 0.001)
    both = fit_thresholds(np.hstack([common, rare]))
    assert both[0] == pytest.approx(fit_thresholds(common)[0], abs=0.01)
    assert both[1] == pytest.approx(both[0], abs=0.05)
    assert not decided(rare, both[1:]).any()


def test_a_label_with_many_samples_has_its_own_threshold():
    sure = np.tile([[1.0], [0.0]], (500, 1))
    unsure = np.full((1000, 1), 0.3)
    both = fit_thresholds(np.hstack([sure, unsure]))
    assert both[0] == pytest.approx(0.5, abs=0.01)
    assert both[1] == pytest.approx(0.23, abs=0.02)
    assert BORROWED == 10.0


def test_a_label_holds_from_its_threshold_on():
    assert decided(np.array([[0.4, 0.4]]), np.array([0.4, 0.41])).tolist() == [[True, False]]


def test_quality_sums_the_log_loss_of_labels_and_weighs_their_f1():
    truth = np.array([[True, False], [False, False], [True, True], [True, False]])
    probabilities = np.where(truth, 0.8, 0.2)
    found = quality(probabilities, truth)
    assert found.log_loss == pytest.approx(-2 * np.log(0.8))
    assert found.weighted_f1 == 1.0
    probabilities[0, 0] = 0.1  # one of three samples of the first label is missed, which has three of four labels
    assert quality(probabilities, truth).weighted_f1 == pytest.approx(0.75 * 0.8 + 0.25)
