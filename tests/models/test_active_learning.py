"""The order in which unlabelled samples are asked about, and what is asked about together."""

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models import active_learning
from kdsl.models.active_learning import Alike, ToLabel, find_alike, next_to_label, uncertainty
from kdsl.sample import Sample, Turn

# Three crowds round three directions: of 5, 3 and 1 samples.
CROWDS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2])


def alike(vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Alike:
    table = FieldTable([Sample(str(row), "t", (Turn("user", "?"),)) for row in range(len(vectors))], Sidecars())
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr(active_learning, "_vectors", lambda table: unit)
    return find_alike(table)


def told_by(told: np.ndarray) -> Alike:
    """Samples of which no two mean the same, with how much a label of the column tells about the row."""
    return Alike(csr_matrix(np.eye(len(told))), csc_matrix(told))


@pytest.fixture
def crowds() -> Alike:
    same = CROWDS[:, None] == CROWDS
    return told_by(np.where(same, 0.6, 0.0) + 0.4 * np.eye(len(CROWDS)))


def asked(
    found: Alike, unsure: float | np.ndarray = 0.5, known: tuple[int, ...] = (), number: int = 3,
    closed: tuple[int, ...] = (), said: np.ndarray | None = None,
) -> list[ToLabel]:  # fmt: skip
    n = len(found)
    flags, open_ = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    flags[list(known)], open_[list(closed)] = True, False
    said = np.arange(n) if said is None else said
    return next_to_label(found, np.broadcast_to(np.asarray(unsure, float), n), flags, open_, said, number)


def first(found: list[ToLabel]) -> list[int]:
    return [each.rows[0] for each in found]


def test_while_nothing_is_known_every_crowd_is_asked_about_the_largest_first(crowds):
    assert [CROWDS[row] for row in first(asked(crowds))] == [0, 1, 2]


def test_what_is_typical_of_a_crowd_comes_first():
    line = np.arange(5)
    assert first(asked(told_by(np.exp(-abs(line[:, None] - line))), number=1)) == [2]


def test_what_a_label_has_told_about_is_not_asked_again(crowds):
    best = first(asked(crowds, number=1))[0]
    assert CROWDS[first(asked(crowds, known=(best,), number=1))[0]] == 1


def test_what_the_model_is_sure_about_waits(crowds):
    unsure = np.where(CROWDS == 0, 0.01, 0.5)
    assert [CROWDS[row] for row in first(asked(crowds, unsure, number=2))] == [1, 2]


def test_a_sample_that_may_not_be_asked_about_still_counts_for_those_that_are_like_it(crowds):
    closed = tuple(np.flatnonzero(CROWDS == 0)[1:].tolist())
    assert first(asked(crowds, closed=closed, number=1)) == [0]
    assert not set(closed) & set(first(asked(crowds, closed=closed, number=9)))


def test_the_value_is_five_times_the_squared_uncertainty_that_the_label_tells_about(crowds):
    [best] = asked(crowds, 0.3, number=1)
    told = crowds.told.toarray()[:, best.rows[0]]
    assert best.value == pytest.approx(5 * 0.3**2 * told.sum())
    assert told[best.rows[0]] == 1.0 and (told <= 1.0).all()


def test_values_fall_and_what_is_asked_is_the_greedy_best_each_time(crowds):
    found = asked(crowds, number=9)
    told, covered = crowds.told.toarray(), np.zeros(len(crowds))
    for each in found:
        gains = 5 * 0.5**2 * np.maximum(told - covered[:, None], 0).sum(axis=0)
        assert each.value == pytest.approx(gains.max())
        covered = np.maximum(covered, told[:, each.rows[0]])
    values = [each.value for each in found]
    assert values == sorted(values, reverse=True) and sorted(first(found)) == list(range(9))


def test_samples_that_mean_the_same_are_one_group_the_nearest_first(monkeypatch):
    near = [[1.0, 0.0, 0.0], [1.0, 0.3, 0.0], [1.0, 0.1, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    found = alike(np.array(near), monkeypatch)
    same = np.zeros(5, dtype=int)
    groups = [set(each.rows) for each in asked(found, said=same)]
    assert {0, 1, 2} in groups and {3} in groups and {4} in groups
    best = next(each for each in asked(found, said=same) if len(each.rows) > 1)
    cosines = [found.cosines[best.rows[0], row] for row in best.rows[1:]]
    assert cosines == sorted(cosines, reverse=True) and min(cosines) >= active_learning.SAME_MEANING


def test_what_the_model_tells_apart_and_what_is_labelled_is_in_no_group(monkeypatch):
    found = alike(np.array([[1.0, 0.0], [1.0, 0.05], [1.0, 0.1]]), monkeypatch)
    assert asked(found, said=np.array([0, 1, 2]), number=1)[0].rows in {(0,), (1,), (2,)}
    assert {len(each.rows) for each in asked(found, said=np.zeros(3, int), known=(1,))} == {2}


def test_uncertainty_is_half_the_error_to_expect():
    found = uncertainty(np.array([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]]))
    np.testing.assert_allclose(found, [0.0, 0.25, 0.09])


def test_a_sample_on_which_rules_disagree_counts_more_and_agreement_never_less():
    says = np.array([[0.9, 0.1]] * 4)
    votes = np.array([[0.0, 0.0], [0.9, 0.0], [0.0, 0.9], [0.8, 0.8]])
    alone, agreed, against, between = uncertainty(says, votes)
    assert alone == pytest.approx(0.09) and agreed == pytest.approx(0.09)
    assert against > between > alone


def test_without_an_encoder_samples_are_compared_by_their_characters():
    texts = ("where is my parcel", "where is my parcel now", "i want my money back", "give me my money back")
    table = FieldTable([Sample(t, "t", (Turn("user", t),)) for t in texts], Sidecars())
    cosines = find_alike(table).cosines.toarray()
    np.testing.assert_allclose(cosines, cosines.T)
    np.testing.assert_allclose(np.diag(cosines), 1)
    assert cosines[0, 1] > cosines[0, 2] and cosines[2, 3] > cosines[1, 2]


def test_one_sample_and_none_are_fine():
    one = find_alike(FieldTable([Sample("1", "t", (Turn("user", "hello"),))], Sidecars()))
    assert first(asked(one)) == [0]
    assert asked(find_alike(FieldTable([], Sidecars()))) == []


def test_what_a_label_tells_fades_by_the_usual_distance_to_the_nearest_sample(monkeypatch):
    square = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0], [-0.6, -0.8]])  # two pairs, each with the cosine 0.6
    told = alike(square, monkeypatch).told.toarray()
    assert told[0, 1] == pytest.approx(np.exp(-3)) and told[0, 2] == 0


def test_no_more_are_decided_together_than_somebody_can_look_at(monkeypatch):
    found = alike(np.ones((30, 2)) + np.arange(30)[:, None] * [0.0, 0.001], monkeypatch)
    assert [len(each.rows) for each in asked(found, said=np.zeros(30, int), number=1)] == [20]
