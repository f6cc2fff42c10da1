"""The time that is left is shared among the questions that are still to come."""

import pytest

from kdsl.chat.fusionbrain.time_budget import TimeBudget


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_each_question_gets_its_share_of_what_is_left():
    clock = Clock()
    budget = TimeBudget(100, 4, longest=100, now=clock)
    assert budget.next() == 25
    clock.time += 10  # 15 fewer than it might have
    assert budget.next() == 30
    clock.time += 60  # 30 more
    assert budget.next() == 15


def test_no_question_gets_more_than_the_longest():
    assert TimeBudget(10_000, 2, longest=60, now=Clock()).next() == 60


def test_loading_takes_of_the_same_time():
    clock = Clock()
    budget = TimeBudget(100, 4, longest=100, now=clock)
    clock.time += 60
    assert budget.next() == 10


def test_more_questions_than_expected_never_use_up_the_time():
    clock = Clock()
    budget = TimeBudget(1000, 100, longest=60, now=clock)
    for _ in range(500):
        seconds = budget.next()
        assert seconds > 0
        clock.time += seconds
    assert clock.time < 2000


def test_what_comes_unexpected_shares_as_if_a_twentieth_were_to_come():
    clock = Clock()
    budget = TimeBudget(1000, 100, longest=1000, now=clock)
    for _ in range(100):
        budget.next()
    assert budget.next() == 1000 / 5


def test_when_the_time_is_over_there_is_none():
    clock = Clock()
    budget = TimeBudget(100, 4, longest=100, now=clock)
    clock.time += 100.5
    assert budget.next() == 0


@pytest.mark.parametrize("questions", [1, 3])
def test_the_last_question_expected_gets_what_is_left(questions):
    clock = Clock()
    budget = TimeBudget(100, questions, longest=1000, now=clock)
    for _ in range(questions - 1):
        clock.time += budget.next()
    assert budget.next() == pytest.approx(100 - (clock.time - 1000))
