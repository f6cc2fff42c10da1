"""`transformers serve` with a model directory: it lists no model, fails at `stop`, samples where told so twice."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_qwen2vl
from model_server import RunningServer, model_server

from kdsl.errors import KdslError
from kdsl.vlm.conversation import ask
from kdsl.vlm.server.model import ServedModel

NAME = "/models/模型 2B#一"
"""A name may hold anything that a path may."""


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RunningServer]:
    with model_server() as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(models=(), pinned=NAME)
    return shared_server


def chats(server: RunningServer, first: int) -> list[dict]:
    return [each["body"] for each in server.requests()[first:] if each["path"] == "/v1/chat/completions"]


@pytest.mark.parametrize("models", [(), None, ("Qwen/Qwen3-0.6B",), ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-4B")])
def test_a_given_name_is_taken_where_the_server_does_not_list_it(server: RunningServer, models) -> None:
    """The list is that of the hub's cache: empty, not there, or of models that this server does not even serve."""
    server.become(models=models, pinned=NAME)
    model = ServedModel.connect(f"{server.url}#{NAME}")
    assert model.generate([ask("？")], 5)[0].text == "是"
    assert model.model == server.requests()[-1]["body"]["model"] == NAME
    assert NAME in model.identity


@pytest.mark.parametrize("name", ["./run/large", "../large", "C:\\models\\large", "run/large/intent"])
def test_paths_of_any_form_are_names(server: RunningServer, name: str) -> None:
    server.become(models=("Qwen/Qwen3-0.6B",), pinned=name)
    assert ServedModel.connect(f"{server.url}#{name}").generate([ask("？")], 5)[0].text == "是"


@pytest.mark.parametrize("models", [(), None])
def test_without_a_name_the_error_says_how_to_give_one(server: RunningServer, models) -> None:
    server.become(models=models, pinned=NAME)
    told = r"load one there, or give its name as the server was given it, like http://127\.0\.0\.1:\d+/v1#/models/Qwen"
    with pytest.raises(KdslError, match=rf"(the server lists no model|500 \(Internal Server Error\)); {told}"):
        ServedModel.connect(server.url)


def test_another_name_is_refused_in_the_servers_words(server: RunningServer) -> None:
    model = ServedModel.connect(f"{server.url}#/models/another")
    with pytest.raises(
        KdslError, match=rf"the server answers 400 \(Server is pinned to '{NAME}'; requested '/models/an"
    ):
        model.generate([ask("？")], 5)


def test_where_the_server_fails_at_stop_the_answer_is_cut_here(server: RunningServer) -> None:
    server.become(models=(), pinned=NAME, answer="颜色是红。\n标签：红退")
    model = ServedModel.connect(f"{server.url}#{NAME}")
    model.generate([ask("？")], 9)  # finds out which fields it takes
    for requests in (3 + 1, 1):  # asked in vain as often as a failure is made sure of, and never again
        first = len(server.requests())
        [answer] = model.generate([ask("？")], 9, stop="标签：")
        assert (answer.text, answer.calls, answer.cut) == ("颜色是红。", 1, False)
        assert len(chats(server, first)) == requests
    assert "stop" not in server.requests()[-1]["body"]


def test_a_failure_that_has_nothing_to_do_with_stop_stays_one(server: RunningServer) -> None:
    server.become()
    model = ServedModel.connect(server.url, retries=0)
    server.fail("500", forever=True)
    with pytest.raises(KdslError, match="the server answers 500"):
        model.generate([ask("？")], 5, stop="标签：")
    server.become()
    model.generate([ask("？")], 5, stop="标签：")
    assert server.requests()[-1]["body"]["stop"] == ["标签："]


def test_what_the_checkpoint_says_of_decoding_is_put_back(server: RunningServer) -> None:
    """Without a configuration of its own a request is answered greedily, or by the one most probable token."""
    model = ServedModel.connect(f"{server.url}#{NAME}", samples=2)
    model.generate([ask("？")], 5)
    assert json.loads(server.requests()[-1]["body"]["generation_config"]) == {
        "do_sample": False,
        "repetition_penalty": 1.0,
    }
    model.score([ask("？")], ["是", "否"])
    assert json.loads(server.requests()[-1]["body"]["generation_config"]) == {
        "do_sample": True,
        "repetition_penalty": 1.0,
        "top_k": 0,
    }


def test_estimates_are_shares_of_answers_that_were_really_sampled(tiny_model: Path) -> None:
    from kdsl.vlm.load import load_model

    local = load_model(str(tiny_model), tiny_qwen2vl.BUDGET)
    questions = [ask(text) for text in ("我要", "？", "红", "换货。标签？", "图中有", "描述", "页面")]
    exact = np.exp(local.score(questions, tiny_qwen2vl.LABELS).log_probabilities)
    doubtful = exact.max(axis=1).argsort()[len(questions) // 2]
    assert 0.2 < exact[doubtful].max() < 0.9  # greedy answers would be all the same
    with model_server(tiny_model, models=(), pinned=NAME) as running:
        model = ServedModel.connect(f"{running.url}#{NAME}", tiny_qwen2vl.BUDGET, samples=64)
        scores = model.score([questions[doubtful]], tiny_qwen2vl.LABELS)
    assert scores.estimated and scores.calls.tolist() == [64]
    np.testing.assert_allclose(np.exp(scores.log_probabilities[0]), exact[doubtful], atol=0.2)
