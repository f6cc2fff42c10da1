"""Scores by type, and the integral score by the contract's weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.chat.answer_file import Answer, Run
from kdsl.chat.dialogue import KINDS, ChatTurn, Dialogue, Part, agent_says
from kdsl.chat.evaluation import WEIGHTS, evaluate_answers, with_references
from kdsl.chat.meteor import MeteorScore
from kdsl.errors import KdslError

RUN = Run(model="m", weights="w", input="i", settings="s")


def answer(kind: str = "text", said: str = "1", right: str | None = "a", perplexity=2.0, others=(3.0, 4.0), id="d"):
    return Answer(
        id=id, turn=1, kind=kind, answer=said, reference=right, perplexity=perplexity, others=others, run=RUN
    )


def said_score(answer: str, reference: str) -> MeteorScore:
    """What the answer says that it is worth."""
    return MeteorScore(float(answer) / 2, float(answer))


def test_means_over_answers_of_a_type():
    answers = [answer(said="0.5", perplexity=2.0), answer(said="1", perplexity=8.0), answer("image", said="0")]
    found = evaluate_answers(answers, said_score)
    text = found.kinds["text"]
    assert (text.answers, text.meteor_nltk, text.meteor) == (2, 0.375, 0.75)
    assert text.perplexity == pytest.approx(4.0), "the geometric mean"
    assert (text.compared, text.accuracy, text.chance) == (2, 0.5, pytest.approx(1 / 3))
    assert text.score == pytest.approx((0.75 + 0.5) / 2)
    assert found.all.answers == 3


@pytest.mark.parametrize(
    ("perplexity", "others", "right"),
    [(2.0, (2.1, 9.0), 1.0), (2.0, (2.0,), 0.0), (2.0, (1.9, 9.0), 0.0), (1.0, (9.0,), 1.0)],
)
def test_the_right_answer_must_surprise_less_than_all_others(perplexity, others, right):
    found = evaluate_answers([answer(perplexity=perplexity, others=others)], said_score)
    assert found.all.accuracy == right


def test_what_was_compared_with_nothing_has_no_accuracy():
    found = evaluate_answers([answer(others=()), answer(perplexity=None, others=())], said_score)
    assert (found.all.compared, found.all.accuracy, found.all.score) == (0, None, None)
    assert found.all.perplexity == pytest.approx(2.0)
    assert found.integral is None
    assert found.renormalised is None
    assert found.missing == [*KINDS]


def test_the_integral_score_weighs_types_as_the_contract_does():
    worth = {"text": "0.2", "image": "0.4", "audio": "0.6", "image_audio": "0.8"}
    answers = [answer(kind, said) for kind, said in worth.items()]
    found = evaluate_answers(answers, said_score)
    assert WEIGHTS == {"text": 0.1, "image": 0.2, "audio": 0.3, "image_audio": 0.4}
    assert found.integral == pytest.approx(0.1 * 0.6 + 0.2 * 0.7 + 0.3 * 0.8 + 0.4 * 0.9)
    assert found.renormalised == pytest.approx(found.integral)
    assert found.missing == []


def test_a_type_that_is_missing_counts_nothing_or_is_left_out_of_the_weights():
    found = evaluate_answers([answer("text", "1"), answer("audio", "0.5")], said_score)
    assert found.missing == ["image", "image_audio"]
    assert found.integral == pytest.approx(0.1 * 1 + 0.3 * 0.75)
    assert found.renormalised == pytest.approx((0.1 * 1 + 0.3 * 0.75) / 0.4)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.floats(0, 1).map(str),
            st.floats(1, 1e300),
            st.lists(st.floats(1, 1e300), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_scores_lie_between_0_and_1(given):
    answers = [answer(kind, said, "a", perplexity, tuple(others)) for kind, said, perplexity, others in given]
    found = evaluate_answers(answers, said_score)
    assert 0 <= found.integral <= found.renormalised <= 1 + 1e-9
    assert found.all.perplexity >= 1 - 1e-9


def test_answers_without_a_right_one_are_counted_and_left_out():
    found = evaluate_answers([answer(), answer(right=None, perplexity=None, others=())], said_score)
    assert (found.all.answers, found.without_reference) == (1, 1)


def test_without_a_single_right_answer_there_is_nothing_to_say():
    with pytest.raises(KdslError, match="no answer has a right one to be compared with"):
        evaluate_answers([answer(right=None)], said_score)


def dialogue(id: str, reference: str) -> Dialogue:
    return Dialogue(id, (ChatTurn("user", (Part("text", "hi"),)), agent_says(reference)))


def test_right_answers_come_from_the_dialogues_and_what_is_unanswered_is_counted():
    dialogues = [dialogue("a", "one"), dialogue("b", "two"), dialogue("c", "three")]
    found, unanswered = with_references([answer(id="a", right=None), answer(id="b", right="old")], dialogues)
    assert [each.reference for each in found] == ["one", "two"]
    assert unanswered == 1


def test_an_answer_to_something_that_the_dialogues_do_not_ask_is_refused():
    with pytest.raises(KdslError, match="an answer to turn 1 of dialogue 'x', which asks nothing in --input"):
        with_references([answer(id="x")], [dialogue("a", "one")])
