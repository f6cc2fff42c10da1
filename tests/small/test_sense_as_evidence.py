"""What a validator says counts as far as it proves right on held-out samples."""

import numpy as np
import pytest

from kdsl.mining.reliability import FEATURES, Shown, fit_reliability

SENSE = FEATURES.index("makes sense")


def rule(sense: float | None) -> Shown:
    return Shown(8, 7, 20, conditions=1, negations=0, further_terms=0, described=0.0, sense=sense)


def held_out(senses: list[float | None], good: np.ndarray) -> tuple[list[Shown], np.ndarray, np.ndarray]:
    hits = np.full(len(senses), 5)
    return [rule(sense) for sense in senses], hits, np.where(good, 4, 1)


def test_a_validator_that_is_right_moves_the_reliability() -> None:
    good = np.arange(200) % 2 == 0
    reliability = fit_reliability(*held_out([0.9 if each else 0.1 for each in good], good))
    sensible, odd, unasked = reliability.estimate([rule(0.9), rule(0.1), rule(None)])
    assert sensible == pytest.approx(0.8, abs=0.05) and odd == pytest.approx(0.2, abs=0.05)
    assert unasked == pytest.approx(0.5, abs=0.05), "a rule that nobody judged is taken for an average one"


def test_a_validator_that_guesses_moves_nothing() -> None:
    source = np.random.default_rng(0)
    good = np.arange(400) % 2 == 0
    reliability = fit_reliability(*held_out(source.choice([0.9, 0.1], 400).tolist(), good))
    sensible, odd = reliability.estimate([rule(0.9), rule(0.1)])
    assert abs(sensible - odd) < 0.08


def test_without_a_validator_nothing_changes() -> None:
    good = np.arange(200) % 2 == 0
    reliability = fit_reliability(*held_out([None] * 200, good))
    assert reliability.coefficients[SENSE] == 0 == reliability.unasked
