"""What has changed since predictions were made, in words."""

import pytest

from kdsl.arbiter.state import PredictorState, RuleState, changes


def state(rules=None, trained=None, recorded=None) -> PredictorState:
    return PredictorState(trained or {"t": "1"}, recorded, {"t": rules or {}})


def rule(status="proposed", when="a", label="退款", stale=False) -> RuleState:
    return RuleState(label, when, status, stale)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {}, []),
        ({}, {"r": rule()}, ["1 rule was added"]),
        ({"r": rule()}, {}, ["1 rule was removed"]),
        ({"r": rule()}, {"r": rule("accepted")}, ["1 rule was accepted"]),
        ({"r": rule("accepted")}, {"r": rule("rejected")}, ["1 rule was rejected"]),
        ({"r": rule("accepted")}, {"r": rule("disabled")}, ["1 rule was disabled"]),
        ({"r": rule("rejected")}, {"r": rule()}, ["1 rule was set back to proposed"]),
        ({"r": rule("accepted")}, {"r": rule("accepted", "b", stale=True)}, ["1 rule was edited"]),
        ({"r": rule()}, {"r": rule(label="换货")}, ["1 rule was edited"]),
        ({"r": rule("accepted", stale=True)}, {"r": rule("accepted")}, ["1 rule was reviewed again"]),
        ({"r": rule("rejected")}, {"r": rule("disabled", "b")}, []),
        ({"r": rule("rejected")}, {}, []),
        (
            {"1": rule(), "2": rule(), "3": rule(), "4": rule(), "5": rule()},
            {"1": rule("accepted"), "2": rule("accepted"), "3": rule("accepted"), "4": rule(when="b"), "6": rule()},
            ["3 rules were accepted, 1 edited, 1 added and 1 removed"],
        ),
    ],
)
def test_what_was_done_to_rules_that_count_is_counted(before, after, told):
    assert changes(state(before), state(after)) == told


def test_training_and_answers_are_told_after_the_rules():
    before = state({"r": rule()}, {"t": "1", "u": "1", "v": "1"}, "1")
    after = state({"r": rule("accepted")}, {"t": "2", "u": "1", "w": "1"}, "2")
    assert changes(before, after) == [
        "1 rule was accepted", "t was trained again", "the recorded answers have changed", "v was left out",
        "w was added",
    ]  # fmt: skip
