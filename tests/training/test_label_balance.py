"""Weights of examples: rare labels count more, and nothing else changes."""

import math

import pytest

pytest.importorskip("torch", reason="needs the extra vlm")

from kdsl.training.balance import balanced
from kdsl.training.examples import Example
from kdsl.vlm.conversation import ask


def weights(counts: dict[tuple[str, str], int], exponent: float) -> dict[tuple[str, str], float]:
    examples = [Example(task, ask("?"), label) for (task, label), n in counts.items() for _ in range(n)]
    found = balanced(examples, exponent)
    assert [(each.task, each.answer) for each in found] == [(each.task, each.answer) for each in examples]
    return {(each.task, each.answer): each.weight for each in found}


@pytest.mark.parametrize(("exponent", "ratio"), [(0, 1), (0.5, math.sqrt(3)), (1, 3)])
def test_a_label_counts_by_a_power_of_how_rare_it_is(exponent, ratio):
    found = weights({("t", "often"): 9, ("t", "rare"): 3}, exponent)
    assert found["t", "rare"] / found["t", "often"] == pytest.approx(ratio)
    assert 9 * found["t", "often"] + 3 * found["t", "rare"] == pytest.approx(12)


def test_none_counts_more_than_four_times_the_commonest():
    found = weights({("t", "often"): 100, ("t", "rare"): 4}, 1)
    assert found["t", "rare"] / found["t", "often"] == pytest.approx(4)


def test_tasks_are_balanced_by_themselves():
    found = weights({("a", "x"): 8, ("b", "x"): 2, ("b", "y"): 1}, 1)
    assert found["a", "x"] == pytest.approx(1)
    assert found["b", "y"] / found["b", "x"] == pytest.approx(2)
    assert 2 * found["b", "x"] + found["b", "y"] == pytest.approx(3)
