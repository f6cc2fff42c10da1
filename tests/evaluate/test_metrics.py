import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from kdsl.evaluate.metrics import NO_PREDICTION, Outcome, confusion, label_scores, pool, scores


def outcome(truth, predicted, **more):
    return Outcome(np.array(truth, dtype=np.int64), np.array(predicted, dtype=np.int64), **more)


def outcomes(lowest_prediction=NO_PREDICTION, labels=5, n=None):
    pairs = st.tuples(st.integers(0, labels - 1), st.integers(lowest_prediction, labels - 1))
    size = {"min_size": n or 1, "max_size": n or 60}
    return st.lists(pairs, **size).map(lambda rows: outcome(*zip(*rows, strict=True)))


def test_scores_by_hand():
    # label 0: 2 of 3 found, 2 of 2 predictions right; label 1: 1 of 1 found, 1 of 2 right
    result = scores(outcome([0, 0, 0, 1], [0, 0, 1, 1]))
    assert result.weighted_f1 == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)
    assert result.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert result.macro_precision == pytest.approx((1.0 + 0.5) / 2)
    assert result.macro_recall == pytest.approx((2 / 3 + 1.0) / 2)
    assert result.accuracy == 0.75
    assert result.coverage == 1.0


def test_an_abstention_costs_recall_and_not_precision():
    result = scores(outcome([0, 0, 1, 1], [0, NO_PREDICTION, 1, NO_PREDICTION]))
    assert result.macro_precision == 1.0
    assert result.macro_recall == 0.5
    assert result.accuracy == 0.5
    assert result.coverage == 0.5
    assert result.covered_precision == 1.0


def test_a_predictor_that_always_abstains_scores_zero_and_has_no_covered_precision():
    result = scores(outcome([0, 1], [NO_PREDICTION, NO_PREDICTION]))
    assert (result.weighted_f1, result.macro_f1, result.accuracy, result.coverage) == (0, 0, 0, 0)
    assert result.covered_precision is None


def test_no_sample_is_refused():
    with pytest.raises(ValueError, match="no sample"):
        scores(outcome([], []))


@given(outcomes(lowest_prediction=0))
def test_scores_are_those_of_scikit_learn(sample):
    result = scores(sample)
    truth, predicted = sample.truth, sample.predicted
    assert result.weighted_f1 == pytest.approx(f1_score(truth, predicted, average="weighted", zero_division=0))
    assert result.weighted_precision == pytest.approx(
        precision_score(truth, predicted, average="weighted", zero_division=0)
    )
    assert result.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert result.accuracy == pytest.approx(recall_score(truth, predicted, average="weighted", zero_division=0))


@given(outcomes())
def test_macro_averages_are_the_means_over_the_labels_that_occur(sample):
    rows = [row for row in label_scores(sample, 5) if row.support]
    result = scores(sample)
    assert result.macro_f1 == pytest.approx(np.mean([row.f1 for row in rows]))
    assert result.macro_recall == pytest.approx(np.mean([row.recall for row in rows]))
    assert result.macro_precision == pytest.approx(np.mean([row.precision or 0.0 for row in rows]))


@given(outcomes())
def test_the_confusion_counts_every_sample_once(sample):
    counts = confusion(sample, 5)
    assert counts.shape == (5, 6)
    assert counts.sum() == len(sample)
    assert np.trace(counts[:, :5]) == sample.correct.sum()
    assert counts[:, -1].sum() == (~sample.covered).sum()


def test_labels_without_support_or_predictions_have_no_scores():
    absent, present = label_scores(outcome([1, 1], [1, NO_PREDICTION]), 2)
    assert (absent.support, absent.precision, absent.recall, absent.f1) == (0, None, None, None)
    assert (present.support, present.predicted, present.precision, present.recall) == (2, 1, 1.0, 0.5)
    assert present.f1 == pytest.approx(2 / 3)


@given(outcomes(labels=3), outcomes(labels=4))
def test_pooled_labels_of_two_tasks_are_different_classes(first, second):
    pooled = pool([first, second], [3, 4])
    expected = f1_score(
        [f"a{i}" for i in first.truth] + [f"b{i}" for i in second.truth],
        [f"a{i}" for i in first.predicted] + [f"b{i}" for i in second.predicted],
        average="weighted",
        zero_division=0,
    )
    assert scores(pooled).weighted_f1 == pytest.approx(expected)


def test_pooled_probabilities_stand_in_the_block_of_their_task():
    first = outcome([0], [1], probabilities=np.array([[0.25, 0.75]]))
    second = outcome([2], [0], probabilities=np.array([[0.5, 0.25, 0.25]]))
    pooled = pool([first, second], [2, 3])
    assert pooled.probabilities.tolist() == [[0.25, 0.75, 0, 0, 0], [0, 0, 0.5, 0.25, 0.25]]
    assert pooled.confidence.tolist() == [0.75, 0.5]
    assert pooled.truth.tolist() == [0, 4]


def test_pooling_with_a_predictor_without_probabilities_has_none():
    first = outcome([0], [1], probabilities=np.array([[0.25, 0.75]]))
    pooled = pool([first, outcome([0], [0], confidence=np.array([0.9]))], [2, 2])
    assert pooled.probabilities is None
    assert pooled.confidence.tolist() == [0.75, 0.9]
    assert pool([first, outcome([0], [0])], [2, 2]).confidence is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truth": [0, 1], "predicted": [0]}, r"must both be \[n\]"),
        ({"truth": [-1], "predicted": [0]}, "only a prediction may be -1"),
        ({"truth": [0], "predicted": [-2]}, "only a prediction may be -1"),
        ({"truth": [0], "predicted": [0], "probabilities": np.ones((2, 1))}, r"must be \[1, n_labels\]"),
        ({"truth": [0], "predicted": [0], "confidence": np.ones(2)}, r"must be \[1\]"),
    ],
)
def test_arrays_that_disagree_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        outcome(**arguments)
