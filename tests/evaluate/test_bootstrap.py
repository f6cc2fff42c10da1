import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from kdsl.evaluate.bootstrap import difference_intervals, intervals
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome, scores


def noisy(n, accuracy, seed, labels=5, abstain=0.0):
    generator = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, labels, n)
    predicted = np.where(generator.random(n) < accuracy, truth, generator.integers(0, labels, n))
    return Outcome(truth, np.where(generator.random(n) < abstain, NO_PREDICTION, predicted))


def test_intervals_agree_with_resampling_the_samples_one_by_one():
    sample = noisy(200, 0.7, seed=1, abstain=0.1)
    generator = np.random.default_rng(3)
    values = []
    for _ in range(300):
        drawn = generator.integers(0, 200, 200)
        truth, predicted = sample.truth[drawn], sample.predicted[drawn]
        labels = np.unique(truth)
        values.append(
            [
                f1_score(truth, predicted, labels=labels, average=average, zero_division=0)
                for average in ("weighted", "macro")
            ]
        )
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    result = intervals(sample, seed=0, n_resamples=5000)
    assert (result.weighted_f1.low, result.weighted_f1.high) == pytest.approx((low[0], high[0]), abs=0.02)
    assert (result.macro_f1.low, result.macro_f1.high) == pytest.approx((low[1], high[1]), abs=0.02)


@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 100))
def test_an_interval_lies_in_the_range_of_its_score(n, accuracy, seed):
    result = intervals(noisy(n, accuracy, seed), seed, n_resamples=50)
    for interval in (result.weighted_f1, result.macro_f1, result.accuracy):
        assert 0.0 <= interval.low <= interval.high <= 1.0


def test_the_score_lies_inside_and_more_samples_narrow_the_interval():
    widths = []
    for n in (100, 10_000):
        sample = noisy(n, 0.7, seed=2)
        interval = intervals(sample, seed=0).weighted_f1
        assert interval.low < scores(sample).weighted_f1 < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 5


def test_a_perfect_predictor_has_no_spread():
    truth = np.array([0, 1, 1, 2])
    interval = intervals(Outcome(truth, truth), seed=0).weighted_f1
    assert (interval.low, interval.high) == (1.0, 1.0)


def test_the_same_seed_gives_the_same_interval():
    sample = noisy(300, 0.6, seed=1)
    assert intervals(sample, seed=5) == intervals(sample, seed=5)
    assert intervals(sample, seed=5) != intervals(sample, seed=6)


def test_a_predictor_does_not_differ_from_itself():
    sample = noisy(300, 0.6, seed=1)
    interval = difference_intervals(sample, sample, seed=0).weighted_f1
    assert (interval.low, interval.high) == (0.0, 0.0)


def test_pairing_narrows_the_difference_of_predictors_that_mostly_agree():
    old = noisy(400, 0.6, seed=1)
    better = old.predicted.copy()
    better[:20] = old.truth[:20]
    new = Outcome(old.truth, better)
    paired = difference_intervals(new, old, seed=0).weighted_f1
    alone = intervals(old, seed=0).weighted_f1
    assert paired.low <= scores(new).weighted_f1 - scores(old).weighted_f1 <= paired.high
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_a_difference_of_other_samples_is_refused():
    with pytest.raises(ValueError, match="same samples"):
        difference_intervals(Outcome(np.array([0]), np.array([0])), Outcome(np.array([1]), np.array([0])), seed=0)
    with pytest.raises(ValueError, match="no sample"):
        intervals(Outcome(np.array([], dtype=int), np.array([], dtype=int)), seed=0)


def test_a_thousand_resamples_of_twenty_thousand_samples_take_seconds():
    new, old = noisy(20_000, 0.8, seed=1, labels=46), noisy(20_000, 0.75, seed=2, labels=46)
    start = time.process_time()
    difference_intervals(new, old, seed=0, n_resamples=1000)
    assert time.process_time() - start < 10
