"""How much speaks against a label: the odds of the likeliest other one, by model and neighbours together."""

import numpy as np
import pytest

from kdsl.models.suspicion import NEIGHBOURS, suspect


def test_the_suggestion_is_the_likeliest_label_but_its_own():
    model = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    found = suspect(model, np.ones_like(model), np.array([0, 2]))
    assert found.suggested.tolist() == [1, 0]
    assert found.odds == pytest.approx([0.6, 2.5])


def test_neighbours_count_less_than_the_model_and_decide_where_it_is_undecided():
    model = np.array([[0.5, 0.5], [0.8, 0.2]])
    neighbours = np.array([[0.1, 0.9], [0.2, 0.8]])
    found = suspect(model, neighbours, np.array([0, 0]))
    assert 0 < NEIGHBOURS < 1
    assert found.odds == pytest.approx([9**NEIGHBOURS, 0.25 * 4**NEIGHBOURS])
    assert found.odds[1] < 1 < found.odds[0]


def test_the_most_suspicious_comes_first_and_equal_ones_keep_their_order():
    model = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.1, 0.9]])
    assert suspect(model, np.ones_like(model), np.zeros(4, dtype=np.int64)).order.tolist() == [1, 3, 2, 0]


def test_a_probability_of_nothing_is_no_proof():
    found = suspect(np.array([[0.0, 1.0]]), np.ones((1, 2)), np.array([0]))
    assert np.isfinite(found.odds).all() and found.odds[0] > 1000


def test_what_is_given_stays_as_it_is():
    model, neighbours = np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]])
    suspect(model, neighbours, np.array([0]))
    assert model.tolist() == neighbours.tolist() == [[0.5, 0.5]]
