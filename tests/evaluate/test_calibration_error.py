import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.evaluate.calibration import brier_score, expected_calibration_error, reliability_bins
from kdsl.evaluate.metrics import NO_PREDICTION, Outcome


def confident(confidence, correct):
    """An outcome of two labels whose predictions have these confidences and are right or wrong like this."""
    predicted = np.where(correct, 0, 1)
    return Outcome(np.zeros(len(predicted), dtype=int), predicted, confidence=np.array(confidence, dtype=float))


def test_error_by_hand():
    # bin (0.6, 0.7]: confidence 0.65, accuracy 0.5; bin (0.9, 1]: confidence 1, accuracy 1
    sample = confident([0.62, 0.68, 1.0, 1.0], [True, False, True, True])
    assert expected_calibration_error(sample) == pytest.approx(0.5 * 0.15)


def test_confidence_on_an_edge_belongs_to_the_bin_below():
    bins = reliability_bins(confident([0.0, 0.5, 1.0], [True, True, True]), n_bins=2)
    assert [(bin_.low, bin_.high, bin_.count) for bin_ in bins] == [(0.0, 0.5, 2), (0.5, 1.0, 1)]


def test_empty_bins_have_no_accuracy():
    empty = reliability_bins(confident([0.95], [True]))[0]
    assert (empty.count, empty.accuracy, empty.confidence) == (0, None, pytest.approx(0.05))


def test_abstentions_are_left_out():
    sample = Outcome(np.array([0, 0]), np.array([0, NO_PREDICTION]), confidence=np.array([1.0, 0.3]))
    assert sum(bin_.count for bin_ in reliability_bins(sample)) == 1
    assert expected_calibration_error(sample) == 0.0


def test_nothing_to_judge_gives_none_or_an_error():
    bare = Outcome(np.array([0]), np.array([0]))
    assert expected_calibration_error(bare) is None
    assert brier_score(bare) is None
    with pytest.raises(ValueError, match="neither probabilities nor confidences"):
        reliability_bins(bare)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_every_prediction_is_in_one_bin_and_the_error_is_a_share(rows):
    sample = confident(*zip(*rows, strict=True))
    bins = reliability_bins(sample)
    assert sum(bin_.count for bin_ in bins) == len(rows)
    assert all(bin_.low - 1e-12 <= bin_.confidence <= bin_.high + 1e-12 for bin_ in bins)
    assert 0.0 <= expected_calibration_error(sample) <= 1.0


def test_samples_drawn_from_their_own_probabilities_are_calibrated():
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1.0, 50_000)
    assert expected_calibration_error(confident(confidence, generator.random(50_000) < confidence)) < 0.01


def test_brier_score_by_hand():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    sample = Outcome(np.array([0, 1, 0]), np.array([0, 0, 0]), probabilities=probabilities)
    assert brier_score(sample) == pytest.approx((0.0 + 2.0 + 0.5) / 3)
