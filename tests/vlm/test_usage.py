"""What a sample costs is counted and held to the limits; scores are normalised."""

import numpy as np
import pytest

from kdsl.errors import KdslError
from kdsl.vlm.conversation import Instruction, Message, Picture, ask, drop_earliest, pictures
from kdsl.vlm.model import Scores, normalise_scores, probabilities
from kdsl.vlm.usage import Cost, Limits, Usage

A, B = ("shop", "a"), ("shop", "b")


def test_a_sample_may_cost_up_to_its_limits() -> None:
    usage = Usage(Limits(calls=3, tokens=100))
    assert usage.allows(A, calls=3, tokens=100)
    usage.charge(A, Cost(calls=2, tokens=90, dropped=1))
    assert usage.tokens_left(A) == 10
    assert usage.allows(A, tokens=10) and not usage.allows(A, tokens=11) and not usage.allows(A, calls=2)
    assert usage.allows(B, calls=3)


def test_exceeding_is_one_sentence() -> None:
    usage = Usage(Limits(calls=3))
    usage.charge(A, Cost(calls=3, tokens=20))
    with pytest.raises(
        KdslError, match=r"sample 'a' of shop: 1 more .* after 3 call.* would exceed `limits: \{calls: 3\}`"
    ):
        usage.require(A, tokens=5)
    usage.require(B, tokens=5)


def test_samples_of_two_tasks_with_one_id_are_two_samples() -> None:
    usage = Usage(Limits(calls=1))
    usage.charge(("intent", "1"), Cost(calls=1))
    usage.require(("scene", "1"))
    assert usage.of(("scene", "1")) == Cost()


def test_without_limits_everything_is_allowed_and_counted() -> None:
    usage = Usage()
    usage.charge(A, Cost(2, 30))
    usage.charge(B, Cost(1, 5, dropped=2))
    usage.charge(A, Cost(1, 1))
    assert usage.allows(A, 1000, 10**6) and usage.tokens_left(A) is None
    assert usage.of(A) == Cost(3, 31) and usage.total() == Cost(4, 36, 2) and usage.most() == Cost(3, 31, 2)
    assert usage.number == 2


def test_another_sample_with_the_id_of_one_that_is_decided_costs_its_own() -> None:
    """As in a service, where ids come again; and what nobody asks for any more takes no memory."""
    usage = Usage(Limits(calls=3))
    for calls, tokens in ((2, 30), (3, 4), (1, 7)):
        usage.require(A, calls=calls)
        usage.charge(A, Cost(calls, tokens))
        usage.charge(B, Cost(dropped=1))
        usage.settle([A, ("shop", "never charged")])
        assert usage.of(A) == Cost()
    assert usage.of(B) == Cost(dropped=3)
    assert usage.total() == Cost(6, 41, 3) and usage.most() == Cost(3, 30, 3)
    assert usage.number == 4


@pytest.fixture
def scores() -> Scores:
    ones = np.ones(2, dtype=np.int64)
    return Scores(np.array([[-2.0, -3.0], [-4.0, -3.0]]), np.array([2, 6]), 2 * ones, ones, 0 * ones)


def test_scores_are_normalised_by_sum_mean_or_pmi(scores: Scores) -> None:
    assert normalise_scores(scores).tolist() == [[-2, -3], [-4, -3]]
    assert normalise_scores(scores, "mean").tolist() == [[-1, -0.5], [-2, -0.5]]
    assert normalise_scores(scores, "pmi", prior=np.array([-1.0, -3.0])).tolist() == [[-1, 0], [-3, 0]]
    with pytest.raises(ValueError, match="pmi takes the prior"):
        normalise_scores(scores, "pmi")


def test_probabilities_sum_to_one(scores: Scores) -> None:
    p = probabilities(normalise_scores(scores))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(p[:, 0] / p[:, 1]), [1, -1])


def test_earliest_pieces_go_first_and_instructions_stay(tmp_path) -> None:
    page = Picture(tmp_path / "a.png")
    conversation = (
        Message("system", ("system",)),
        Message("user", (page, "early")),
        Message("user", (Instruction("question"), "late", page, "last")),
    )
    assert pictures(conversation) == [page, page]
    assert drop_earliest(conversation, 0) == (conversation, 0)
    assert drop_earliest(conversation, 1)[0][1] == Message("user", ("early",))
    assert drop_earliest(conversation, 3)[0] == (conversation[0], Message("user", ("question", page, "last")))
    assert drop_earliest(conversation, 9) == ((conversation[0], Message("user", ("question", "last"))), 4)
    assert drop_earliest(ask("only"), 5) == (ask("only"), 0)
