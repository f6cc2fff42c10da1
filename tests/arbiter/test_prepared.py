"""While a group of samples is decided, the next one is prepared; what goes wrong is told when its turn comes."""

from collections.abc import Iterator
from contextlib import closing
from threading import Event

import pytest

from kdsl.arbiter.prepared import Turn, prepared
from kdsl.errors import KdslError
from kdsl.sample import Sample

LONG = 60
"""Seconds after which a test fails, instead of waiting for ever."""


def groups(n: int) -> Iterator[list[Sample]]:
    for number in range(n):
        yield [Sample(str(number), "shop")]


def number(group: list[Sample]) -> int:
    return int(group[0].id)


def test_the_next_group_is_prepared_while_one_is_used() -> None:
    begun = [Event() for _ in range(3)]
    used = [Event() for _ in range(3)]

    def prepare(group: list[Sample], turn: Turn | None) -> None:
        assert (turn is None) == (number(group) == 0)
        begun[number(group)].set()
        if number(group):
            assert used[number(group) - 1].wait(LONG)  # goes on for as long as the one before is used

    seen = []
    for group in prepared(groups(3), prepare):
        assert all(begun[each].wait(LONG) for each in range(min(3, number(group) + 2)))
        assert not any(each.is_set() for each in begun[number(group) + 2 :])
        used[number(group)].set()
        seen.append(number(group))
    assert seen == [0, 1, 2]
    assert list(prepared(groups(0), prepare)) == []


def test_what_goes_wrong_is_raised_when_the_groups_before_are_done() -> None:
    def prepare(group: list[Sample], turn: Turn | None) -> None:
        if number(group) == 2:
            raise KdslError("the OCR process died")

    seen = []
    with pytest.raises(KdslError, match="the OCR process died"):
        seen += [number(group) for group in prepared(groups(2), prepare)]
        for group in prepared(groups(4), prepare):
            seen.append(number(group))
    assert seen == [0, 1, 0, 1]


def test_what_is_being_prepared_is_told_that_it_is_waited_for() -> None:
    left = []

    def prepare(group: list[Sample], turn: Turn | None) -> None:
        if turn is not None:
            assert turn.come.wait(LONG)
            left.append(number(group))
            assert not turn.ended.is_set()

    assert [number(group) for group in prepared(groups(3), prepare)] == [0, 1, 2]
    assert left == [1, 2]


def test_what_is_being_prepared_ends_with_the_iterator() -> None:
    begun, ended = Event(), Event()

    def prepare(group: list[Sample], turn: Turn | None) -> None:
        if turn is not None:
            begun.set()
            assert turn.ended.wait(LONG) and turn.come.is_set()
            ended.set()

    with closing(prepared(groups(3), prepare)) as iterator, pytest.raises(KeyboardInterrupt):
        for _ in iterator:
            assert begun.wait(LONG)
            raise KeyboardInterrupt
    assert ended.is_set()
