"""What predicting samples costs, beside the limits, and how large the models are."""

import pytest

from kdsl.evaluate.costs import CountedModel, OverLimit, Parameters, Spent, billions, cost_summary
from kdsl.vlm.usage import Cost, Limits

COSTS = [(("shop", "a"), Cost(1, 5)), (("shop", "b"), Cost(3, 100)), (("desk", "a"), Cost(4, 0))]


def test_mean_and_most_and_who_is_over_a_limit():
    """What just reaches a limit is not over it."""
    found = cost_summary(COSTS, Limits(3, 100))
    assert found is not None
    assert (found.samples, found.calls, found.tokens) == (3, Spent(8 / 3, 4, 3), Spent(35, 100, 100))
    assert found.over == (OverLimit("desk", "a", 4, 0),)


@pytest.mark.parametrize(
    ("limits", "over"), [(Limits(), []), (Limits(2, None), ["b", "a"]), (Limits(None, 4), ["a", "b"])]
)
def test_each_limit_counts_alone(limits, over):
    found = cost_summary(COSTS, limits)
    assert found is not None and [each.id for each in found.over] == over


def test_nothing_is_told_where_no_model_was_asked():
    assert cost_summary([], Limits(3, 100)) is None


def test_parameters_are_those_of_all_models_together():
    models = (CountedModel("large", "a", 9_000_000_000), CountedModel("encoder", "use", 68_927_268))
    assert Parameters(models, 9).exceeded
    assert not Parameters(models, 9.1).exceeded and not Parameters(models, None).exceeded
    assert str(Parameters(models, 9)) == "large a 9.00, encoder use 0.069: 9.07 billion together"


def test_what_is_unknown_is_not_taken_for_nothing():
    found = Parameters((CountedModel("large", "a", None), CountedModel("encoder", "use", 5)), 1)
    assert [each.part for each in found.unknown] == ["large"] and found.known == 5
    assert [billions(number) for number in (None, 0, 198_144, 7_000_000_000)] == ["unknown", "0.00", "0.0002", "7.00"]
