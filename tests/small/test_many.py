"""Many answers of which some fail: each gets a second chance, and what still fails is told."""

import pytest

from kdsl.errors import KdslError
from kdsl.small.many import IN_A_ROW, Failed, answers


class Oracle:
    """Doubles numbers; fails on each of `bad` so many times."""

    def __init__(self, bad: dict[int, int]) -> None:
        self.bad = dict(bad)
        self.asked: list[list[int]] = []

    def __call__(self, numbers):
        self.asked.append(list(numbers))
        for number in numbers:
            if self.bad.get(number, 0):
                self.bad[number] -= 1
                raise KdslError(f"{number} is bad")
        return [2 * number for number in numbers]


@pytest.mark.parametrize("threads", [1, 5])
def test_what_failed_is_asked_again_when_all_others_are_done(threads):
    oracle = Oracle({3: 2 if threads == 1 else 1, 4: 99})
    found = list(answers(range(10), oracle, threads))
    assert dict(found) == {n: 2 * n for n in range(10) if n != 4} | {4: Failed("4 is bad")}
    assert [index for index, _ in found][-1] == 4
    assert len(found) == 10


def test_in_one_thread_all_are_asked_at_once_and_one_by_one_only_after_a_failure():
    good, bad = Oracle({}), Oracle({2: 99})
    assert dict(answers([1, 2, 3], good)) == {0: 2, 1: 4, 2: 6}
    assert good.asked == [[1, 2, 3]]
    list(answers([1, 2, 3], bad))
    assert bad.asked == [[1, 2, 3], [1], [2], [3], [2]]


def test_nothing_more_is_asked_of_what_is_gone():
    oracle = Oracle(dict.fromkeys(range(100), 99))
    with pytest.raises(KdslError, match="is bad"):
        list(answers(range(100), oracle))
    assert len(oracle.asked) == 1 + IN_A_ROW


def test_an_error_that_is_no_sentence_passes_through():
    def broken(numbers):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(answers([1, 2], broken, 2))


def test_nothing_to_ask():
    assert list(answers([], Oracle({}))) == list(answers([], Oracle({}), 3)) == []
