"""What deciding less comes to."""

import numpy as np
import pytest

from kdsl.evaluate.metrics import NO_PREDICTION, Outcome
from kdsl.evaluate.report import TaskResult, summarise
from kdsl.evaluate.selective import coverage_error, everything_decided, selective

LABELS = ("退款", "尺码", "其他")
PROBABILITIES = np.array([[0.9, 0.05, 0.05], [0.2, 0.75, 0.05], [0.45, 0.5, 0.05], [0.2, 0.1, 0.7], [0.3, 0.2, 0.5]])
TRUTH = np.array([0, 1, 0, 2, 0])
PREDICTED = np.array([0, 1, NO_PREDICTION, 2, 2])


def found(other: str | None = "其他"):
    result = selective(Outcome(TRUTH, PREDICTED, PROBABILITIES), LABELS, other)
    assert result is not None
    return result


def test_the_three_ways_to_decide():
    always, with_other, abstaining = found().always, found().with_other, found().abstaining
    assert (always.accuracy, with_other.accuracy, abstaining.accuracy) == (0.6, 0.6, 0.6)
    assert (always.in_scope_accuracy, with_other.in_scope_accuracy) == (0.75, 0.5)
    assert (always.other_recall, with_other.other_recall) == (0.0, 1.0)
    assert (abstaining.coverage, abstaining.error) == (0.8, 0.25)


def test_what_it_costs_by_label():
    refund, size, other = found().costs
    assert (refund.label, refund.samples, refund.abstained, refund.lost, refund.spared) == ("退款", 3, 1, 0, 1)
    assert refund.taken_for_other == 1  # the last sample, of which 退款 is the likeliest label
    assert (size.abstained, size.taken_for_other, other.taken_for_other) == (0, 0, 0)


def test_how_well_other_is_told():
    assert found().auroc == 1.0
    never = selective(Outcome(np.zeros(5, dtype=int), PREDICTED, PROBABILITIES), LABELS, "其他")
    assert never is not None and never.auroc is None


def test_where_nothing_is_handed_over_and_nothing_is_other_there_is_nothing_to_tell():
    decided = Outcome(TRUTH, PROBABILITIES.argmax(axis=1), PROBABILITIES)
    assert selective(decided, LABELS, None) is None
    assert selective(decided, LABELS, "其他") is not None
    assert selective(Outcome(TRUTH, PREDICTED), LABELS, "其他") is None  # no probabilities


def test_without_other_every_label_is_one_that_samples_belong_to():
    assert found(None).auroc is None
    assert found(None).always == found(None).with_other
    assert found(None).always.other_recall is None


def test_the_curve_of_coverage_and_error():
    curve = coverage_error(Outcome(TRUTH, PREDICTED, PROBABILITIES))
    assert curve.threshold == [0.9, 0.75, 0.7, 0.5]
    assert curve.coverage == [0.2, 0.4, 0.6, 1.0]  # two samples share the last confidence
    assert curve.error == [0.0, 0.0, 0.0, 0.4]


def test_what_was_handed_over_can_be_decided_by_the_likeliest_label():
    outcome = Outcome(TRUTH, PREDICTED, PROBABILITIES)
    assert everything_decided(outcome).predicted.tolist() == [0, 1, 1, 2, 2]
    plain = Outcome(TRUTH, PREDICTED)
    assert everything_decided(plain) is plain


def test_a_curve_needs_probabilities():
    with pytest.raises(ValueError, match="no probabilities"):
        coverage_error(Outcome(TRUTH, PREDICTED))


def test_only_ways_that_differ_are_shown():
    assert list(found().ways) == ["a label for every sample", "some belong to none", "some handed to a person"]
    assert list(found(None).ways) == ["a label for every sample", "some handed to a person"]


def test_a_notebook_shows_them():
    outcome = Outcome(TRUTH, PREDICTED, PROBABILITIES)
    result = TaskResult("shop", LABELS, tuple("abcde"), outcome, Outcome(TRUTH, PREDICTED), outcome, other="其他")
    shown = summarise([result], 0)._repr_html_()
    assert "Deciding less: shop, AUROC of other 1.000" in shown and "some handed to a person" in shown


def test_rules_are_held_against_the_model_as_if_everything_were_decided():
    """The model alone hands nothing over: what both hand over is no loss that rules brought."""
    model = Outcome(TRUTH, PROBABILITIES.argmax(axis=1), PROBABILITIES)
    both = Outcome(TRUTH, PREDICTED, PROBABILITIES)
    summary = summarise([TaskResult("shop", LABELS, tuple("abcde"), model, both, both, "其他")], 0)
    assert summary.tasks[0].difference.accuracy == summary.tasks[0].difference.weighted_f1 == 0.0
    assert summary.tasks[0].both.scores.coverage == 0.8
