"""The confidence under which a decision is handed to a person."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kdsl.arbiter.abstention import choose_abstention
from kdsl.config_parts import AbstainConfig


def outcomes(confidences: list[float], right: list[bool]):
    """Probabilities of two labels, and true labels, with these confidences."""
    first = np.array(confidences)
    labels = np.where(right, 0, 1)
    return np.stack([first, 1 - first], axis=1), labels


def test_an_error_rate_decides_as_many_as_it_allows():
    probabilities, labels = outcomes([0.95, 0.9, 0.8, 0.7, 0.6], [True, True, False, True, False])
    chosen = choose_abstention(AbstainConfig(error=0.25), probabilities, labels)
    # The third alone makes it 1 of 3; with the fourth it is 1 of 4, which is allowed.
    assert (chosen.coverage, chosen.error) == (0.8, 0.25)
    assert chosen.below == pytest.approx(0.65)
    assert choose_abstention(AbstainConfig(error=0.2), probabilities, labels).below == pytest.approx(0.85)


def test_a_share_hands_over_the_least_sure():
    probabilities, labels = outcomes([0.95, 0.9, 0.8, 0.7, 0.6], [True] * 5)
    chosen = choose_abstention(AbstainConfig(share=0.4), probabilities, labels)
    assert (chosen.coverage, chosen.error, chosen.below) == (0.6, 0.0, pytest.approx(0.75))
    assert choose_abstention(AbstainConfig(share=0.3), probabilities, labels).coverage == 0.8


def test_equal_confidences_are_decided_together():
    probabilities, labels = outcomes([0.9, 0.8, 0.8, 0.8], [True, True, False, False])
    assert choose_abstention(AbstainConfig(error=0.4), probabilities, labels).coverage == 0.25
    assert choose_abstention(AbstainConfig(share=0.5), probabilities, labels).coverage == 1.0


def test_nothing_is_decided_where_the_surest_are_wrong():
    probabilities, labels = outcomes([0.9, 0.8], [False, False])
    chosen = choose_abstention(AbstainConfig(error=0.1), probabilities, labels)
    assert (chosen.coverage, chosen.error) == (0.0, None)
    assert chosen.below > 1


def test_everything_is_decided_where_nothing_is_wrong():
    probabilities, labels = outcomes([0.9, 0.6], [True, True])
    assert choose_abstention(AbstainConfig(error=0.05), probabilities, labels).below == 0.0


@given(
    st.lists(st.tuples(st.integers(51, 99), st.booleans()), min_size=1, max_size=30),
    st.floats(0.01, 0.99),
)
def test_the_threshold_keeps_what_was_asked(rows, error):
    confidences = [each / 100 for each, _ in rows]
    probabilities, labels = outcomes(confidences, [right for _, right in rows])
    right = probabilities.argmax(axis=1) == labels
    chosen = choose_abstention(AbstainConfig(error=error), probabilities, labels)
    decided = probabilities.max(axis=1) >= chosen.below
    assert chosen.coverage == decided.mean()
    assert not decided.any() or (~right[decided]).mean() <= error + 1e-9
    for lower in {each for each in confidences if each < chosen.below}:
        more = probabilities.max(axis=1) >= lower - 1e-9
        assert (~right[more]).mean() > error - 1e-9


@pytest.mark.parametrize("asked", [{}, {"error": 0.1, "share": 0.2}, {"error": 0.0}, {"share": 1.0}, {"error": 5}])
def test_what_is_asked_for_is_one_share(asked):
    with pytest.raises(ValidationError):
        AbstainConfig.model_validate(asked)
