"""What generate.py returns is a text (a number) and a pair; what goes wrong behind it is neither raised nor lost."""

import json
import math
import pickle
import statistics

import numpy as np
import pytest

from kdsl.chat.fusionbrain.contestant import Outcome
from kdsl.chat.fusionbrain.team_code.generate import (
    HIGH_PERPLEXITY,
    SHORT_ANSWER,
    Answer,
    Perplexity,
    generate_text,
    get_ppl,
)

HISTORY = [{"role": "user", "content": [{"type": "text", "content": "hi"}]}]


def test_an_answer_is_a_text_and_a_pair():
    answer = Answer("A red cat.", HISTORY)
    text, history = answer
    assert (text, type(text), history) == ("A red cat.", str, HISTORY)
    assert (answer[0], answer[1]) == ("A red cat.", HISTORY)
    assert answer == "A red cat." and answer.split() == ["A", "red", "cat."]
    assert (len(answer), answer[2:5], answer[-1], f"{answer}") == (10, "red", ".", "A red cat.")
    assert json.dumps([answer]) == '["A red cat."]'
    assert "".join(["It is ", answer]) == "It is A red cat."


def test_a_perplexity_is_a_number_and_a_pair():
    perplexity = Perplexity(2.5, HISTORY)
    number, history = perplexity
    assert (number, type(number), history) == (2.5, float, HISTORY)
    assert (perplexity[0], perplexity[1]) == (2.5, HISTORY)
    assert perplexity == 2.5 and perplexity < 3 and perplexity + 1 == 3.5 and f"{perplexity:.2f}" == "2.50"
    assert json.dumps([perplexity]) == "[2.5]"
    assert not Perplexity(0.0, HISTORY)


def test_who_computes_with_perplexities_gets_numbers():
    several = [Perplexity(1.0, HISTORY), Perplexity(4.0, None)]
    assert sum(several) == 5.0 and sorted(several)[0] == 1.0
    assert np.mean(several) == 2.5 and np.array(several).shape == (2,) and np.log(several)[0] == 0.0
    assert statistics.mean(several) == 2.5 and math.isfinite(several[0])


def test_who_unpickles_needs_nothing_of_the_export():
    for value, plain in ((Answer("yes", HISTORY), str), (Perplexity(2.5, HISTORY), float)):
        data = pickle.dumps(value)
        assert b"kdsl" not in data and type(pickle.loads(data)) is plain and pickle.loads(data) == value


class Panic(BaseException):
    """As libraries in Rust raise it: no Exception."""


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Model:
    """Returns what it is told to, or raises it."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.asked: list[tuple] = []

    def answer(self, query: object, history: object) -> Outcome:
        self.asked.append((query, history))
        if isinstance(self.value, BaseException):
            raise self.value
        return Outcome(self.value, HISTORY, "" if self.value else "why")

    perplexity = answer


FAILURES = [Panic(), Unspeakable(), MemoryError(), RuntimeError("CUDA error"), SystemExit(3), RecursionError()]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_nothing_is_raised_and_the_traceback_is_on_stderr(failure, capsys):
    answer, history = generate_text(Model(failure), None, [], HISTORY)
    assert (answer, history) == (SHORT_ANSWER, HISTORY)
    perplexity, history = get_ppl(Model(failure), None, ([], "a"), HISTORY)
    assert (perplexity, history) == (HIGH_PERPLEXITY, HISTORY)
    assert capsys.readouterr().err.count(type(failure).__name__) >= 2


def test_a_problem_is_in_what_is_returned():
    assert generate_text(Model(RuntimeError("no memory")), None, []).problem == "RuntimeError: no memory"
    assert get_ppl(Model(None), None, []).problem == "why"
    assert generate_text(Model("yes"), None, []).problem == ""


def test_who_presses_ctrl_c_wants_an_end():
    for function in (generate_text, get_ppl):
        with pytest.raises(KeyboardInterrupt):
            function(Model(KeyboardInterrupt()), None, [])


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_answer_is_the_short_one(nothing):
    answer = generate_text(Model(nothing), None, [])
    assert (answer, answer.problem) == (SHORT_ANSWER, "why")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 1e300])
def test_a_perplexity_that_is_no_usable_number_is_the_high_one(value):
    perplexity, history = get_ppl(Model(value), None, ([], "a"))
    assert (perplexity, history) == (HIGH_PERPLEXITY, HISTORY)


def test_without_a_model_there_are_answers_too():
    assert list(generate_text(None, None, [], (HISTORY, "a"))) == [SHORT_ANSWER, (HISTORY, "a")]
    assert list(get_ppl(None, None, ([], "a"))) == [HIGH_PERPLEXITY, None]


@pytest.mark.parametrize("name", ["history_list", "history", "history_tensor", "another"])
def test_the_history_is_taken_under_any_name(name):
    model = Model("yes")
    generate_text(model, None, [], **{name: HISTORY})
    get_ppl(model, None, [], **{name: HISTORY})
    generate_text(model, None, [], HISTORY)
    assert model.asked == [([], HISTORY)] * 3
